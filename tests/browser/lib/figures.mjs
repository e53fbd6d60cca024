// Figures that tests print and judge.

/** Prints a test's figures as one line. */
export function print(test, figures) {
  console.log(JSON.stringify({ test, ...figures }));
}

/** The value below which the given share of values lies; NaN of nothing. */
export function quantile(values, share) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The middle value. */
export const median = (values) => quantile(values, 0.5);

/** To one decimal, for printing. */
export const tenth = (value) => Math.round(value * 10) / 10;
