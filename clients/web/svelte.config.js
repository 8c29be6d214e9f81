// Stretches of markup that never change are cloned from fragments, not parsed from text: the page's policy
// lets nothing be read as markup.
export default { compilerOptions: { fragments: "tree", runes: true } };
