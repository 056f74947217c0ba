// What eslint checks in the page's modules and their tests.
import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "max-depth": ["error", 4],
  "max-len": ["error", { code: 120, ignoreUrls: true }],
  "max-lines": ["error", 400],
  "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
  "no-shadow": "error",
  "no-use-before-define": ["error", { functions: false, variables: false }],
  "no-var": "error",
  "prefer-const": ["error", { destructuring: "all" }],
  quotes: ["error", "double", { avoidEscape: true }],
  semi: "error",
};

export default [
  { files: ["app/components/**/*.js"], languageOptions: { globals: globals.browser }, rules },
  { files: ["tests/js/**/*.js", "eslint.config.js"], languageOptions: { globals: globals.node }, rules },
];
