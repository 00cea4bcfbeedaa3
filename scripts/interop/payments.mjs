// The demo's data and its three answers, written a second time: the Node servers of this folder serve them, and the
// official client compares our server's answers with them.

/** The seven rows, in the order in which `getAllTransactions` lists them. */
const ROWS = [
  [1, 'bob', 'alice', 100, '2024-03-15'],
  [3, 'bob', 'charlie', 75, '2024-03-17'],
  [5, 'bob', 'alice', 200, '2024-03-19'],
  [2, 'alice', 'charlie', 50, '2024-03-16'],
  [6, 'alice', 'bob', 150, '2024-03-20'],
  [4, 'charlie', 'bob', 25, '2024-03-18'],
  [7, 'charlie', 'alice', 80, '2024-03-21'],
].map(([id, from, to, amount, date]) => ({ id, from, to, amount, date }));

/** How many rows `getLatestTransactions` returns when it is not told. */
export const DEFAULT_LIMIT = 3;

/** Every row that moves money to or from `name`. */
export function all(name) {
  return ROWS.filter((row) => row.from === name || row.to === name);
}

/** The newest rows of `name`, newest first. */
export function latest(name, limit = DEFAULT_LIMIT) {
  return all(name)
    .toSorted((a, b) => b.date.localeCompare(a.date))
    .slice(0, limit);
}

/** What `name` has, having started at zero. */
export function balance(name) {
  const total = all(name).reduce((sum, row) => sum + (row.to === name ? row.amount : -row.amount), 0);
  return { username: name, balance: total };
}

/** The text that a tool of the original demo answers with. */
export function text(value) {
  return JSON.stringify(value, null, 2);
}

/** The value of an environment variable that the caller must set. */
export function required(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: start this program through scripts/interop/run`);
  return value;
}

/** Whom a key speaks for, or undefined. The keys come from the environment, as for the Rust programs. */
export function holder(key) {
  if (key === required('BOB_API_KEY')) return 'bob';
  if (key === required('ALICE_API_KEY')) return 'alice';
  return undefined;
}
