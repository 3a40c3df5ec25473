// Prints a line a test and closes with the line that Rust's test runners print, which is what
// `cargo xtask test` counts.

export default async function* reporter(events) {
  let passed = 0;
  let failed = 0;
  let ignored = 0;
  for await (const { type, data } of events) {
    if (type === "test:stdout" || type === "test:stderr") yield data.message;
    const isTest = (type === "test:pass" || type === "test:fail") && data.details?.type !== "suite";
    if (!isTest) continue;
    if (data.skip) ignored++; else if (type === "test:pass") passed++; else failed++;
    yield `test ${data.name} ... ${data.skip ? `ignored${data.skip === true ? "" : ` (${data.skip})`}` : type === "test:pass" ? "ok" : "FAILED"}\n`;
    if (type === "test:fail") yield `${data.details.error?.cause?.stack ?? data.details.error}\n`;
  }
  yield `test result: ${failed ? "FAILED" : "ok"}. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 filtered out\n`;
}
