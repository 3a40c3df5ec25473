// Clocks and what is between the samples.

/** How long a question is asked again and again, in milliseconds, and how often at most. */
const ASK = 30;
const ASK_MAX = 50;

/** Waits only for what has to be waited for. */
export const settled = async (value) => (value instanceof Promise ? await value : value);

/** Nanoseconds that `act` takes. */
export async function timed(act) {
  const start = performance.now();
  const doing = act();
  if (doing instanceof Promise) await doing;
  return (performance.now() - start) * 1e6;
}

/** The sample that so many of a hundred do not exceed. */
export function percentile(samples, percent) {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))];
}

/** Asks for a while; the middle one counts, since what else the machine does comes in bursts. */
export async function asked(question) {
  const times = [];
  let sum = 0;
  while (times.length === 0 || (sum < ASK * 1e6 && times.length < ASK_MAX)) {
    times.push(await timed(question));
    sum += times.at(-1);
  }
  return percentile(times, 50);
}
