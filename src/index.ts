/** The library of stackshim for Node: what `import … from 'stackshim'` gives. */
export {};
