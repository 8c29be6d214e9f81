import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// Relative addresses, since the page may be mounted below any prefix; one script and one style sheet.
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  // A bound, not a measurement: the machine may be busy.
  test: { testTimeout: 60_000 },
  build: {
    outDir: "dist",
    assetsDir: "web",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    target: "es2023",
    reportCompressedSize: false,
  },
});
