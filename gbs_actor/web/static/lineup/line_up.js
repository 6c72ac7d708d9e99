import { html } from "../shared/html.js";
import { texts } from "./strings.js";

const { columns, genders, userTypes } = texts;

/** The people of a retreat with their groups, as they were when the page was loaded. */
export function LineUp({ retreat, rows }) {
  return html`
    <div class="table-frame" tabindex="0" role="region" aria-labelledby="line-up">
      <table class="line-up">
        <caption id="line-up">${texts.people(rows.length)}</caption>
        <thead>
          <tr>
            ${Object.values(columns).map((name) => html`<th scope="col" key=${name}>${name}</th>`)}
            ${retreat.schedules.map(
              ({ id, label, name }) => html`<th scope="col" key=${id} title=${name}>${label}</th>`,
            )}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => html`<${Person} key=${row.id} row=${row} schedules=${retreat.schedules} />`)}
        </tbody>
      </table>
    </div>`;
}

function Person({ row, schedules }) {
  const attended = new Set(row.userRetreatRegistrationScheduleIds);
  return html`
    <tr class=${row.isLeader ? "leader" : undefined}>
      <td class="number">${row.gbsNumber ?? texts.none}</td>
      <th scope="row">${row.name}${row.isLeader && html` <small>${texts.leader}</small>`}</th>
      <td>${row.univGroupNumber}</td>
      <td>${genders[row.gender]}</td>
      <td>${row.gradeNumber}</td>
      <td>${row.phoneNumber}</td>
      <td>${userTypes[row.userType] ?? texts.none}</td>
      <td>${row.currentLeader}</td>
      <td class="memo">${row.lineupMemo}</td>
      <td class="memo">${row.isLeader ? row.gbsMemo : ""}</td>
      ${schedules.map(
        ({ id }) => html`<td key=${id}>${attended.has(id) ? texts.attends : texts.attendsNot}</td>`,
      )}
    </tr>`;
}
