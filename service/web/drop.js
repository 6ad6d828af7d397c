/** Files and whole folders that were dropped or chosen, each with the folder that it lies in. */

const SOUND = /\.(wav|wave|w64|aiff?|au|caf|flac|ogg|oga|opus|mp3|aac|m4a|mp4|webm|wma|amr|wv|tta|avi|3gp)$/i;

/** `[{file, folder}]` of a drop; the folder is null where a file lies in none. */
export async function filesOfDrop(transfer) {
  // The entries must be taken at once: the list is empty after the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, folder: null }));
  return (await Promise.all(entries.map((entry) => filesOf(entry, null)))).flat();
}

/** The same of an `<input type="file">`, with folders where it takes those. */
export function filesOfInput(input) {
  const files = [...input.files].map((file) => ({ file, folder: folderOf(file.webkitRelativePath) }));
  files.sort((a, b) => a.file.webkitRelativePath.localeCompare(b.file.webkitRelativePath));
  return files.filter(({ file, folder }) => folder === null || isSound(file));
}

function folderOf(path) {
  return path ? (path.split("/").at(-2) ?? null) : null;
}

async function filesOf(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return folder === null || isSound(file) ? [{ file, folder }] : [];
  }
  const reader = entry.createReader();
  const children = [];
  while (true) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) break;
    children.push(...some);
  }
  children.sort((a, b) => a.name.localeCompare(b.name));
  return (await Promise.all(children.map((child) => filesOf(child, entry.name)))).flat();
}

/** In a folder lie other things too; what was chosen by itself is sent whatever it is called. */
function isSound(file) {
  return !file.name.startsWith(".") && (file.type.startsWith("audio/") || SOUND.test(file.name));
}

/** Let an element take drops; `onFiles` gets what `filesOfDrop` tells. */
export function takesDrops(element, onFiles) {
  const mark = (is) => element.classList.toggle("is-over", is);
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  element.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    mark(true);
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) mark(false);
  });
  element.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    mark(false);
    onFiles(await filesOfDrop(event.dataTransfer));
  });
}
