// What is new in a text, marked.

/** Two texts in pieces, words, signs and spaces, and of each piece whether the other lacks it. */
export function changes(before, after) {
  const [a, b] = [before, after].map((text) => text.match(/\s+|[\p{L}\p{M}\p{N}]+|./gu) ?? []);
  const common = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const marked = [a, b].map((pieces) => pieces.map((piece) => [piece, true]));
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) marked[0][i++][1] = marked[1][j++][1] = false;
    else if (common[i + 1][j] >= common[i][j + 1]) i += 1;
    else j += 1;
  }
  return marked;
}

/** Text whose pieces that the other lacks are marked; a mark goes on over spaces. */
export function withMarks(pieces) {
  const parts = [];
  pieces.forEach(([piece, isNew], place) => {
    const joins = !piece.trim() && pieces[place - 1]?.[1] && pieces[place + 1]?.[1];
    const marks = piece.trim() ? isNew : Boolean(joins);
    if (parts.at(-1)?.marks === marks) parts.at(-1).text += piece;
    else parts.push({ marks, text: piece });
  });
  return parts.map(({ marks, text }) => {
    if (!marks) return text;
    const mark = document.createElement("mark");
    mark.append(text);
    return mark;
  });
}
