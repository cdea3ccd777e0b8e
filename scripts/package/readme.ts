/** The README of the npm package, which holds less than the repository that the README is written in. */

/** "owner/name" on GitHub, where the build runs for a release; `undefined` elsewhere. */
export const REPOSITORY: string | undefined = Deno.env.get("GITHUB_REPOSITORY");

/**
 * Has every link lead somewhere. One to a file that is not in the package leads to the repository,
 * in the state of the release; where that is not known its text stays.
 *
 * @param isShipped tells whether the package holds a path
 */
export function shippedReadme(
  text: string,
  isShipped: (path: string) => boolean,
  { repository = REPOSITORY, version }: { repository?: string; version: string },
): string {
  return text.replace(RELATIVE, (link, label, path) => {
    if (isShipped(path)) return link;
    if (repository === undefined) return label;
    return `[${label}](https://github.com/${repository}/tree/v${version}/${path})`;
  });
}

/** The files of the package that a README links to. */
export function linkedFiles(text: string): string[] {
  return [...text.matchAll(RELATIVE)].map(([, , path]) => path);
}

/** A link that is neither a URL nor a place on the same page. */
const RELATIVE = /\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)\s]*)?\)/g;
