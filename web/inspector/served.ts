import { openHttpSource } from "../ts/inspector/http-source.js";
import { mountInspector } from "../ts/inspector/index.js";

const main = document.querySelector("main")!;
openHttpSource().then((source) => mountInspector(main, source)).catch((error) => {
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  said.textContent = error instanceof Error ? error.message : String(error);
  main.append(said);
});
