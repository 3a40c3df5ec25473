import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

export default defineConfig({
  // The package as it was built beside the demo. Where it is installed from npm, this is not needed.
  resolve: {
    alias: [
      { find: /^annals$/, replacement: fileURLToPath(new URL("../dist/index.js", import.meta.url)) },
      { find: /^annals\/inspector$/, replacement: fileURLToPath(new URL("../dist/inspector.js", import.meta.url)) },
    ],
  },
  build: { rolldownOptions: { input: ["index.html", "inspector.html"] } },
  server: { fs: { allow: [".", "../dist"] } },
  plugins: [
    // The service worker keeps every file of the built page, so that it opens without a network.
    VitePWA({
      registerType: "autoUpdate",
      workbox: { globPatterns: ["**/*.{html,js,css,svg,wasm}"], maximumFileSizeToCacheInBytes: 4 << 20 },
      manifest: {
        name: "Annals till",
        short_name: "Till",
        description: "A till whose state is what happened",
        theme_color: "#0f6b5c",
        background_color: "#f6f4ef",
        display: "standalone",
        icons: [{ src: "till.svg", sizes: "any", type: "image/svg+xml" }],
      },
    }),
  ],
});
