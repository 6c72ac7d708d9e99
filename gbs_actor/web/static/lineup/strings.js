/** All texts of the line-up page. */

export const texts = {
  title: "GBS 라인업",
  loading: "불러오는 중…",
  retry: "다시 시도",
  none: "–",
  readOnly: "보기 전용",
  retreats: "수양회",
  allRetreats: "수양회 목록",
  noRetreats: "들어갈 수 있는 수양회가 없습니다. 담당 간사에게 권한을 요청하세요.",
  people: (count) => `전체 ${count}명`,
  leader: "리더",
  attends: "○",
  attendsNot: "",

  columns: {
    gbsNumber: "GBS 번호",
    name: "이름",
    univGroupNumber: "부서",
    gender: "성별",
    gradeNumber: "학년",
    phoneNumber: "전화번호",
    userType: "타입",
    currentLeader: "현리더",
    lineupMemo: "라인업 메모",
    gbsMemo: "GBS 메모",
  },
  genders: { MALE: "남", FEMALE: "여" },
  userTypes: { NEW_COMER: "새가족", STAFF: "스태프", SOLDIER: "군지체" },

  signIn: {
    needed: "로그인이 필요합니다.",
    expired: "로그인이 만료되었습니다.",
    link: "로그인하러 가기",
    how: (cookie) =>
      `이 서버에는 로그인 화면이 없습니다. 기존 관리자 사이트에 로그인하면 쿠키 ${cookie}로 들어오게 되니, 로그인한 뒤 이 화면을 새로 고치세요.`,
    forOperators:
      "운영자: 설정 sign_in_url에 로그인 주소를 넣으면 여기에 링크가 나옵니다. 쿠키는 이 서버의 주소에도 보내져야 합니다.",
    demo: "데모입니다. 누구로 들어갈지 고르세요. 창을 하나 더 열어 다른 사람으로 들어가면 두 사람이 함께 편집합니다.",
    demoGroup: "데모에서 쓸 사람",
    enterAs: (name) => `${name}(으)로 들어가기`,
    demoFailed: "들어가지 못했습니다. 다시 시도하세요.",
  },

  failure: {
    unreachable: "서버에 연결할 수 없습니다.",
    400: "수양회 주소가 올바르지 않습니다.",
    403: "이 수양회를 볼 권한이 없습니다.",
    404: "이 주소의 수양회가 없습니다.",
    429: "요청이 너무 많습니다. 잠시 뒤에 다시 시도하세요.",
    503: "서버가 데이터베이스에 연결하지 못했습니다. 잠시 뒤에 다시 시도하세요.",
    other: (message) => `오류: ${message}`,
  },
};
