// `npm run build:inspector`: makes the page of `annals inspect`, which is committed beside the
// command, so that building that needs no npm. `--check` only says whether it is up to date.

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

/** The files, by their names. */
export async function inspectorAssets() {
  const script = await bundle("inspector/served.ts");
  const page = readFileSync(join(web, "inspector/served.html"), "utf8");
  // A function, so that `$` in the script means itself.
  const inspector = page.replace("/* script */", () => script.trim().replaceAll("</script", "<\\/script"));
  const reducer = await import(`data:text/javascript,${encodeURIComponent(await bundle("ts/inspector/reducer.ts"))}`);
  return { "inspector.html": inspector, "reducer.html": `${reducer.REDUCER_PAGE}\n` };
}

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
