// What the conformance suite found, judged from the files it leaves: a row of the table, and every check that failed.
//
//   node conformance_tally.mjs TITLE FOLDER PREFIX SCENARIO...
//
// FOLDER holds a folder for each scenario that ran, named PREFIX, the scenario and the moment. The scenarios named must
// all be there, with a check that succeeded and none that failed; any other is counted and not judged. The row goes to
// standard output, what is wrong to standard error; the exit code is 1 when a named scenario is not as it must be.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MOMENT = /-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z$/;

const [title, folder, prefix, ...judged] = process.argv.slice(2);

/** The checks of one scenario; none where the suite ended before it wrote them. */
function checksIn(entry) {
  try {
    return JSON.parse(readFileSync(join(folder, entry, 'checks.json'), 'utf8'));
  } catch {
    return [];
  }
}

function holds(checks) {
  return checks.some(({ status }) => status === 'SUCCESS') && checks.every(({ status }) => status !== 'FAILURE');
}

function entries() {
  try {
    return readdirSync(folder).filter((entry) => entry.startsWith(prefix) && MOMENT.test(entry));
  } catch {
    return [];
  }
}

const ran = new Map(
  entries().map((entry) => [entry.slice(prefix.length).replace(MOMENT, ''), checksIn(entry)]),
);

const wrong = judged.filter((name) => !holds(ran.get(name) ?? []));
const others = [...ran.keys()].filter((name) => !judged.includes(name));
const othersHold = others.filter((name) => holds(ran.get(name)));
const checks = [...ran.values()].flat();
const count = (status) => checks.filter((check) => check.status === status).length;

for (const name of wrong) {
  const failures = (ran.get(name) ?? []).filter(({ status }) => status === 'FAILURE');
  const why = ran.has(name) ? 'no check succeeded' : 'it did not run';
  console.error(`  ${name}${failures.length ? '' : `: ${why}`}`);
  for (const { id, errorMessage, description } of failures) console.error(`    ${id}: ${errorMessage ?? description}`);
}
const unmet = others.filter((name) => !othersHold.includes(name));
if (unmet.length > 0) console.error(`  ${title}, not judged and not passed: ${unmet.join(', ')}`);

const cells = [
  title.padEnd(34),
  `${judged.length - wrong.length}/${judged.length}`.padStart(9),
  `${othersHold.length}/${others.length}`.padStart(12),
  String(count('SUCCESS')).padStart(10),
  String(count('FAILURE')).padStart(8),
  String(count('WARNING')).padStart(10),
];
console.log(cells.join(''));
process.exit(wrong.length === 0 ? 0 : 1);
