/**
 * Build dist/, and the plain scripts that the server serves, from src/.
 *
 * Usage: node build.mjs [--out FOLDER] [--static FOLDER]
 *
 * dist/ has each file in three forms: .js is a plain script, .mjs an ES module, .cjs for CommonJS;
 * each with a source map, and types. With --static, the plain scripts and ES modules go to that
 * folder as well.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));

/**
 * Add-ons by name: src/NAME.js becomes wampush-NAME.mjs and .cjs, src/script_NAME.js the plain script.
 * They import the core from ./index.js.
 */
const ADD_ONS = ["cra", "modern", "tabs"];

/** Plain scripts that hold the core themselves: what they are made of, by name. */
const SCRIPTS = { "wampush-full": "script_full.js", "wampush-tabs-worker": "tabs_worker.js" };

const { values: options } = parseArgs({
  options: { out: { type: "string", default: join(HERE, "dist") }, static: { type: "string" } },
});
const { version } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));

/** What an add-on imports as ./index.js is the core that is loaded already, not a second copy. */
const coreIsLoaded = (format) => ({
  name: "core-is-loaded",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/index\.js$/ }, () =>
      format === "iife"
        ? { path: "core", namespace: "loaded" }
        : { path: `./wampush.${format === "esm" ? "mjs" : "cjs"}`, external: true },
    );
    onLoad({ filter: /.*/, namespace: "loaded" }, () => ({
      contents:
        'if (!globalThis.ab || !globalThis.ab.Connection) { throw new Error("load wampush.js before its add-ons"); }\n' +
        "module.exports = Object.assign({ ab: globalThis.ab }, globalThis.ab);",
      loader: "js",
    }));
  },
});

/** Members for the inside of a file get short names. */
const INSIDE = /^[a-z]\w*_$/i;

/** Bundle with esbuild, then minify with terser, which makes it three percent smaller. */
const bundle = async (source, name, format, extension, isAddOn) => {
  const outfile = join(options.out, `${name}.${extension}`);
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "src", source)],
    outfile,
    bundle: true,
    format,
    target: "es2018",
    minify: true,
    mangleProps: INSIDE,
    charset: "utf8",
    sourcemap: "external",
    absWorkingDir: HERE,
    legalComments: "none",
    plugins: isAddOn ? [coreIsLoaded(format)] : [],
    logLevel: "warning",
    write: false,
  });
  const [map, script] = ["map", extension].map(
    (ending) => outputFiles.find((each) => each.path.endsWith(`.${ending}`)).text,
  );
  const { code, map: found } = await minify(script, {
    ecma: 2018,
    module: format !== "iife",
    compress: { passes: 3 },
    format: { ecma: 2018, preamble: `/*! wampush ${version}, MIT license */` },
    sourceMap: { content: map, includeSources: true, asObject: true },
  });
  // The same wherever the build goes to.
  const sources = found.sources.map((each) =>
    each.includes("/src/") || each.startsWith("src/") ? `client-js/src/${basename(each)}` : each,
  );
  writeFileSync(outfile, `${code}\n//# sourceMappingURL=${basename(outfile)}.map\n`);
  writeFileSync(
    `${outfile}.map`,
    JSON.stringify({ ...found, file: basename(outfile), sources, sourceRoot: undefined }),
  );
};

const FORMS = [
  ["iife", "js"],
  ["esm", "mjs"],
  ["cjs", "cjs"],
];

mkdirSync(options.out, { recursive: true });
const names = ["wampush", ...ADD_ONS.map((each) => `wampush-${each}`)];
await Promise.all(
  FORMS.flatMap(([format, extension]) => [
    bundle(format === "iife" ? "script.js" : "index.js", "wampush", format, extension, false),
    ...ADD_ONS.map((each) =>
      bundle(
        format === "iife" ? `script_${each}.js` : `${each}.js`,
        `wampush-${each}`,
        format,
        extension,
        true,
      ),
    ),
  ]).concat(
    Object.entries(SCRIPTS).map(([name, source]) => bundle(source, name, "iife", "js", false)),
  ),
);
cpSync(join(HERE, "types", "global.d.ts"), join(options.out, "global.d.ts"));
for (const name of names) {
  for (const extension of ["d.ts", "d.mts", "d.cts"]) {
    cpSync(join(HERE, "types", `${name}.d.ts`), join(options.out, `${name}.${extension}`));
  }
}
if (options.static) {
  const files = names.flatMap((name) => [`${name}.js`, `${name}.mjs`]);
  files.push(...Object.keys(SCRIPTS).map((name) => `${name}.js`));
  for (const file of files.flatMap((each) => [each, `${each}.map`])) {
    cpSync(join(options.out, file), join(options.static, file));
  }
}
