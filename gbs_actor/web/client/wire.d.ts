// Made by scripts/wire_types.py from the types of the server; not to be edited.

/** A line-up row as clients hold it; see the wire contract for each field. */
export interface Row {
  id: number;
  userId: number;
  gbsNumber: number | null;
  totalCount: number;
  maleCount: number;
  femaleCount: number;
  fullAttendanceCount: number;
  partialAttendanceCount: number;
  univGroupId: number;
  univGroupNumber: number;
  gradeId: number;
  gradeNumber: number;
  gender: Gender;
  name: string;
  phoneNumber: string;
  currentLeader: string;
  isLeader: boolean;
  isFullAttendance: boolean;
  gbsMemo: string;
  lineupMemo: string;
  lineupMemoId: number | null;
  lineupMemocolor: string;
  userType: UserType | null;
  userRetreatRegistrationScheduleIds: number[];
  createdAt: string;
  updatedAt: string;
  unresolvedLineupHistoryMemo: string | null;
  adminMemo: string | null;
  revision: number;
}

/** A person's gender, as registered. */
export type Gender =
  | "MALE"
  | "FEMALE";

/** Special kinds of participant; most people have none. */
export type UserType =
  | "NEW_COMER"
  | "STAFF"
  | "SOLDIER";

/** Changed rows and groups, and what changed them. */
export interface LineupsUpdate {
  revision: number;
  rows: Row[];
  groups: (GroupUpdate | DeletedGroup)[];
  changes: ChangeSummary[];
  removed?: number[];
}

/** A group's values, which the row of each member shows. */
export interface GroupUpdate {
  gbsNumber: number;
  revision: number;
  gbsMemo: string;
  totalCount: number;
  maleCount: number;
  femaleCount: number;
  fullAttendanceCount: number;
  partialAttendanceCount: number;
}

/** A group that was deleted: no row shows it any more. */
export interface DeletedGroup {
  gbsNumber: number;
  revision: number;
  deleted: true;
}

/** A change, as far as clients are to know of it. */
export interface ChangeSummary {
  revision: number;
  kind: Kind;
  by: ChangedBy;
  ids: number[];
  commandId?: string;
}

/** What a log entry records. */
export type Kind =
  | "assign-number"
  | "create-memo"
  | "update-memo"
  | "delete-memo"
  | "bulk-assign"
  | "create-groups"
  | "delete-group"
  | "assign-leaders"
  | "unassign-leaders"
  | "group-memo"
  | "undo"
  | "fence"
  | "external";

/** Who has made a change. */
export interface ChangedBy {
  userId: number | null;
  userName: string;
}

/** Somebody starts or ends editing a field: the payload of `user-editing`. */
export interface Editing {
  lineupId: number;
  userRetreatRegistrationId: number;
  userId: number;
  adminUserId: number;
  userName: string;
  field: string | null;
  editing: boolean;
}

/** Who is in a room: the payload of `room-presence`. */
export interface Presence {
  users: PresentUser[];
  total: number;
}

/** One user in a room, however many connections they have. */
export interface PresentUser {
  userId: number;
  userName: string;
  connections: number;
  editing: EditedField[];
}

/** What a present user is editing. */
export interface EditedField {
  lineupId: number;
  field: string | null;
}

/** An error as an ack, or as the payload of event `error`. */
export interface ErrorReply {
  status?: "ERROR";
  event?: string | null;
  code: string;
  message: string;
  legacyCode?: string;
  retryable?: boolean;
  data?: Row;
  conflict?: Conflict;
  problems?: Problem[];
}

/** The newer value, who wrote it, when, and under which revision. */
export interface Conflict {
  field: string;
  theirs: Memo | number | boolean | string | null;
  changedBy: string;
  changedAt: string | null;
  revision: number;
}

/** A line-up memo. `text` may be empty only where `color` is not. */
export interface Memo {
  memoId: number;
  memo: string;
  color: string;
}

/** Why a part of a command that changes many fields cannot be carried out. */
export interface Problem {
  index: number | null;
  registrationId: number | null;
  gbsNumber: number | null;
  code: Code;
  message: string;
  field: Field | null;
  theirs: Memo | number | boolean | string | null;
  changedBy: string | null;
  changedAt: string | null;
  revision: number | null;
}

/** What went wrong, in the words clients know. */
export type Code =
  | "VALIDATION_FAILED"
  | "NOT_IN_ROOM"
  | "RETREAT_NOT_FOUND"
  | "NOT_FOUND"
  | "LEADER_LOCKED"
  | "CONFLICT"
  | "GROUP_NOT_EMPTY"
  | "HISTORY_PRUNED"
  | "IMPORT_BLOCKED"
  | "NOT_ACKNOWLEDGED"
  | "FORBIDDEN"
  | "RATE_LIMITED"
  | "ROOM_BUSY"
  | "ROOM_RESTARTED"
  | "ROOM_UNAVAILABLE"
  | "STORE_UNAVAILABLE"
  | "OUTCOME_UNKNOWN"
  | "TOKEN_EXPIRED"
  | "INTERNAL";

/** A field with a stamp of its own: of a registration, or of a group. */
export type Field =
  | "gbsNumber"
  | "isLeader"
  | "currentLeader"
  | "lineupNumber"
  | "lineupMemo"
  | "gbsMemo"
  | "exists";

/** Events of the server. */
export interface ServerEvents {
  "initial-data": Row[];
  "lineup-updated": Row;
  "lineups-updated": LineupsUpdate;
  "user-editing": Editing;
  "room-presence": Presence;
  "error": ErrorReply;
}

/** One person, and the new values of their fields. */
export interface Assignment {
  lineupId?: number | string | null;
  userRetreatRegistrationId?: number | string | null;
  gbsNumber?: number | null;
  isLeader?: boolean;
  currentLeaderName?: string;
  lineupNumber?: number | null;
  baseRevision?: number | null;
}

/** Events of a client. */
export interface ClientEvents {
  "join-retreat": string | {
    retreatSlug?: string;
    since?: number | null;
    epoch?: string | null;
  };
  "leave-retreat": string | {
    retreatSlug?: string;
  };
  "user-editing": {
    lineupId?: number | string | null;
    userRetreatRegistrationId?: number | string | null;
    field?: string | null;
    editing?: boolean;
  };
  "authenticate": {
    token?: string;
  };
  "gbslist": {
    retreatSlug?: string | null;
  } | null;
  "update-gbs-number": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | null;
    lineupId?: number | string | null;
    userRetreatRegistrationId?: number | string | null;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "create-lineup-memo": {
    baseRevision?: number | null;
    commandId?: string | null;
    memo?: string;
    color?: string | null;
    lineupId?: number | string | null;
    userRetreatRegistrationId?: number | string | null;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "update-lineup-memo": {
    baseRevision?: number | null;
    commandId?: string | null;
    memo?: string;
    color?: string | null;
    memoId?: number | string | null;
    userRetreatRegistrationMemoId?: number | string | null;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "delete-lineup-memo": {
    baseRevision?: number | null;
    commandId?: string | null;
    memoId?: number | string | null;
    userRetreatRegistrationMemoId?: number | string | null;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "bulk-assign-gbs": {
    baseRevision?: number | null;
    commandId?: string | null;
    assignments?: Assignment[];
    applyLineupNumber?: boolean;
    onConflict?: "refuse" | "skip";
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "create-gbs": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumbers?: (number | string)[];
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "delete-gbs": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | string;
    ifEmpty?: boolean;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "assign-gbs-leaders": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | string;
    leaderUserIds?: (number | string)[];
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "unassign-gbs-leaders": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | string | null;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "update-lineup-gbs-memo": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | string;
    memo?: string;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "delete-lineup-gbs-memo": {
    baseRevision?: number | null;
    commandId?: string | null;
    gbsNumber?: number | string;
    retreatSlug?: string | null;
    epoch?: string | null;
  };
  "undo": {
    baseRevision?: number | null;
    commandId?: string | null;
    idempotencyKey?: string | null;
    revision?: number | null;
    epoch?: string | null;
    onConflict?: "refuse" | "skip";
    retreatSlug?: string | null;
  };
}

export interface Ok<T> {
  status: "OK";
  data: T;
  revision: number | null;
}

export interface Joined<T> {
  status: "OK";
  data: T;
  revision: number;
  epoch: string;
  full: boolean;
}

/** What a command came to that may change many fields. */
export interface ChangeResult<T> {
  updatedCount: number;
  createdGbsNumbers: number[];
  updatedLineups: T[];
  revision: number | null;
  conflicts: Problem[];
  skipped: Problem[];
}
