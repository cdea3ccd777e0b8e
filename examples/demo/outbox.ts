/** The folder that takes the place of a mail server. */
export const OUTBOX: string = Deno.env.get("OUTBOX") ?? "outbox";

/** Writes a mail as an .eml file (RFC 5322), which any mail program opens. Returns its path. */
export async function writeMail(
  mail: { id: string; to: string; subject: string; text: string },
): Promise<string> {
  await Deno.mkdir(OUTBOX, { recursive: true });
  const file = `${OUTBOX}/${mail.id}.eml`;
  const lines = [
    "From: Dispatch demo <demo@example.com>",
    `To: <${mail.to}>`,
    `Subject: ${encodeHeader(mail.subject)}`,
    `Date: ${new Date().toUTCString()}`,
    `Message-ID: <${mail.id}@example.com>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "",
    ...mail.text.split("\n"),
    "",
  ];
  // Renaming is atomic: nobody sees half a mail, whenever the process dies.
  await Deno.writeTextFile(`${file}.part`, lines.join("\r\n"));
  await Deno.rename(`${file}.part`, file);
  return file;
}

/** Headers are ASCII; anything else goes as an encoded word (RFC 2047), which also keeps line breaks out. */
function encodeHeader(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?utf-8?B?${btoa(String.fromCharCode(...bytes))}?=`;
}
