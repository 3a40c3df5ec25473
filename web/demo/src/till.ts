// What can happen at a till, and the state that comes of it. Nothing here knows the store's
// whereabouts or the page.

import type { Condition, EventStore, Fold, LiveProjection, StoredEvent } from "annals";

export interface Line { id: string; name: string; cents: number }

export interface Sale {
  number: number;
  lines: readonly Line[];
  /** When it was paid, in milliseconds since 1970. */
  paidAt?: number;
}

/** One line of the log: an event in words. */
export interface Entry { id: string; time: number; text: string; isUndone: boolean }

export interface Till {
  /** Every sale, the open one last. */
  sales: readonly Sale[];
  takings: number;
  /** Every change, the oldest first. */
  log: readonly Entry[];
  /** The changes that stand, each with the sales as they were before it. */
  undo: readonly { id: string; before: Pick<Till, "sales" | "takings"> }[];
}

export type Change =
  | { type: "item.added"; payload: { name: string; cents: number } }
  | { type: "item.removed"; payload: { line: string } }
  | { type: "sale.paid"; payload: { cents: number } }
  | { type: "change.undone"; payload: { change: string } };

const SCOPE = "till";
/** How many changes can be undone. */
const UNDO_MAX = 100;
const EMPTY: Till = { sales: [{ number: 1, lines: [] }], takings: 0, log: [], undo: [] };

export const REGION = { scope: SCOPE };

export const FOLD: Fold<Till, unknown> = {
  initialState: EMPTY,
  evolve(till, event) {
    const change = event as StoredEvent & Change;
    if (change.type === "change.undone") return undone(till, change);
    const before = { sales: till.sales, takings: till.takings };
    const after = changed(before, change);
    if (!after) return till;
    const entry = { id: event.id, time: event.time, text: textOf(till, change), isUndone: false };
    return {
      ...after,
      log: [...till.log, entry],
      undo: [...till.undo.slice(1 - UNDO_MAX), { id: event.id, before }],
    };
  },
};

export function openSale({ sales }: Till): Sale {
  return sales.at(-1)!;
}

export function totalOf({ lines }: Sale): number {
  return lines.reduce((sum, { cents }) => sum + cents, 0);
}

export function money(cents: number): string {
  return (cents / 100).toFixed(2);
}

/**
 * Appends a change that was decided on what this tab shows. If something has happened since that
 * bears on it, nothing is written and the store throws `ConditionFailed`.
 */
export async function change(store: EventStore, live: LiveProjection<Till>, { type, payload }: Change) {
  const till = live.getSnapshot();
  const entity = `sale:${openSale(till).number}`;
  const isAddition = type === "item.added";
  const condition: Condition = {
    // An item may join whatever others add, but not a sale that was paid meanwhile.
    region: isAddition ? { scope: SCOPE, type: ["sale.paid", "change.undone"] } : { scope: SCOPE },
    ...(live.sequence === undefined ? {} : { after: live.sequence }),
  };
  const causation = type === "change.undone" ? { causation: payload.change } : {};
  await store.append({ entity, scope: SCOPE, type, payload, ...causation }, { condition });
}

function changed(
  { sales, takings }: Pick<Till, "sales" | "takings">,
  change: StoredEvent & Change,
): Pick<Till, "sales" | "takings"> | undefined {
  const sale = sales.at(-1)!;
  const replaced = (sale: Sale) => [...sales.slice(0, -1), sale];
  switch (change.type) {
    case "item.added":
      return { takings, sales: replaced({ ...sale, lines: [...sale.lines, { id: change.id, ...change.payload }] }) };
    case "item.removed":
      return { takings, sales: replaced({ ...sale, lines: sale.lines.filter(({ id }) => id !== change.payload.line) }) };
    case "sale.paid":
      return {
        takings: takings + totalOf(sale),
        sales: [...replaced({ ...sale, paidAt: change.time }), { number: sale.number + 1, lines: [] }],
      };
    default:
      return undefined;
  }
}

/** Nothing is deleted: an undone change stays in the log, and the event that undid it in the store. */
function undone(till: Till, { payload }: { payload: { change: string } }): Till {
  const last = till.undo.at(-1);
  if (last?.id !== payload.change) return till;
  const log = till.log.map((entry) => (entry.id === last.id ? { ...entry, isUndone: true } : entry));
  return { ...last.before, log, undo: till.undo.slice(0, -1) };
}

function textOf(till: Till, change: Change): string {
  const sale = openSale(till);
  switch (change.type) {
    case "item.added":
      return `${change.payload.name} added to sale ${sale.number}`;
    case "item.removed":
      return `${sale.lines.find(({ id }) => id === change.payload.line)?.name ?? "Item"} taken off sale ${sale.number}`;
    case "sale.paid":
      return `Sale ${sale.number} paid: ${money(totalOf(sale))}`;
    case "change.undone":
      return "Undone";
  }
}
