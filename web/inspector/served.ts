import { openHttpSource } from "../ts/inspector/http-source.js";
import { Mount } from "../ts/inspector/mount.js";

const main = document.querySelector("main")!;
const place = { backups: "This page shows the store that annals inspect was started for. Take the backup in with annals import-backup, and inspect that" };
openHttpSource().then((source) => new Mount(main, source, place)).catch((error) => {
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  said.textContent = error instanceof Error ? error.message : String(error);
  main.append(said);
});
