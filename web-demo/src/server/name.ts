// The rule for stream names, and the sentence that says what is wrong with one.

/** Why `name` is not a stream name, as a sentence; `null` where it is one. */
export function nameProblem(name: string): string | null {
  if (name === "") return "Give the stream a name.";
  if (name.length > 64) return `The name has ${name.length} characters; 64 are allowed.`;
  if (name.startsWith(".")) return "The name must not start with a dot.";
  const wrong = /[^A-Za-z0-9._-]/u.exec(name)?.[0];
  if (wrong === undefined) return null;
  const shown = /\s/.test(wrong) ? "a space" : `“${wrong}”`;
  return `The name must not contain ${shown}: letters A to Z, digits, dot, underscore and hyphen are allowed.`;
}
