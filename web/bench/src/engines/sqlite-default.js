// SQLite as it comes. Its default is on stable storage; for the class that is not, that is off.

import { openWith } from "./sqlite.js";

export { destroy, load } from "./sqlite.js";

export function open(name, isStrict) {
  return openWith(name, isStrict ? [] : ["synchronous = OFF"], "delete");
}
