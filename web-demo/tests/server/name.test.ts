import { expect, test } from "vitest";
import { nameProblem } from "../../src/server/name";

test.each(["a", "Demo-1_2.x", "a".repeat(64), "-", "_."])("%j is a stream name", (name) => {
  expect(nameProblem(name)).toBeNull();
});

test.each([
  ["", "name"],
  ["a".repeat(65), "65 characters"],
  [".hidden", "dot"],
  ["two words", "a space"],
  ["a/b", "“/”"],
  ["ä", "“ä”"],
  ["😀", "“😀”"],
])("%j is not, and the sentence mentions %j", (name, mention) => {
  expect(nameProblem(name)).toContain(mention);
});
