import { defineConfig } from "vite";

// The engine in the bench's own worker is made of the package's sources, which are beside this folder.
export default defineConfig({
  build: { target: "es2022", outDir: process.env.BENCH_OUT ?? "dist", emptyOutDir: true, reportCompressedSize: false },
  worker: { format: "es" },
  logLevel: "warn",
});
