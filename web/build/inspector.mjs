// `npm run build:inspector`: makes the page of `annals inspect`, which is committed beside the
// command, so that building that needs no npm. `--check` only says whether it is up to date. What
// `npm run build` needs of the inspector is here too.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const assets = join(web, "../adapters/cli/assets");

/** How the inspector is bundled: its styles are text. */
export const inspectorOptions = { loader: { ".css": "text" }, plugins: [minifiedCss()] };

function minifiedCss() {
  return {
    name: "minified-css",
    setup(build) {
      build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
        const css = readFileSync(path, "utf8");
        const { code } = await esbuild.transform(css, { loader: "css", minify: true });
        return { contents: code, loader: "text" };
      });
    },
  };
}

async function bundle(entry) {
  const built = await esbuild.build({
    ...inspectorOptions, absWorkingDir: web, bundle: true, format: "esm", target: "es2022", minify: true, write: false,
    legalComments: "none", logLevel: "warning", entryPoints: [entry],
  });
  return built.outputFiles[0].text;
}

/** A script that may stand in a page. */
async function pageScript(entry) {
  return (await bundle(entry)).trim().replaceAll("</script", "<\\/script");
}

async function reducerPage() {
  const reducer = await import(`data:text/javascript,${encodeURIComponent(await bundle("ts/inspector/reducer.ts"))}`);
  return `${reducer.REDUCER_PAGE}\n`;
}

/** The files of `annals inspect`, by their names. */
export async function inspectorAssets() {
  const script = await pageScript("inspector/served.ts");
  const page = readFileSync(join(web, "inspector/served.html"), "utf8");
  // A function, so that `$` in the script means itself.
  return { "inspector.html": page.replace("/* script */", () => script), "reducer.html": await reducerPage() };
}

/** The files of the page alone, by their names. All is inline, and its policy lets it reach nothing. */
export async function inspectorPage() {
  const script = await pageScript("inspector/page.ts");
  const css = readFileSync(join(web, "inspector/page.css"), "utf8");
  const { code: style } = await esbuild.transform(css, { loader: "css", minify: true });
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = [
    "default-src 'none'", `script-src ${hash(script)} 'wasm-unsafe-eval' blob:`, "worker-src blob:", `style-src ${hash(style)}`,
    "frame-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
  ].join("; ");
  const page = readFileSync(join(web, "inspector/page.html"), "utf8");
  const parts = { "__policy__": policy, "/* style */": style, "/* script */": script };
  const html = Object.entries(parts).reduce((html, [place, text]) => html.replace(place, () => text), page);
  return { "index.html": html, "reducer.html": await reducerPage() };
}

/** Leaves the loading of a store for a backup to whoever bundles the package. */
export const inspectorEntry = {
  ...inspectorOptions,
  plugins: [...inspectorOptions.plugins, {
    name: "client-beside",
    setup(build) { build.onResolve({ filter: /^\.\/index\.js$/, namespace: "file" }, ({ path, kind }) => (kind === "dynamic-import" ? { path, external: true } : undefined)); },
  }],
};

if (argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(assets, { recursive: true });
  let isStale = false;
  for (const [name, text] of Object.entries(await inspectorAssets())) {
    const path = join(assets, name);
    if (argv.includes("--check")) {
      isStale ||= readFileSync(path, "utf8") !== text;
    } else {
      writeFileSync(path, text);
      console.log(`${name} ${text.length}`);
    }
  }
  if (isStale) {
    console.error("the inspector in adapters/cli/assets is out of date: run `npm run build:inspector`");
    exit(1);
  }
}
