"""A token is taken only if everything about it is right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from gbs_actor.auth import AuthError, Role, TokenSource, Verifier, mint, verified_tokens
from gbs_actor.settings import AuthSettings
from tests.auth.keypairs import NOW, SECRET, ec_key, jwk, key_set, pem, rsa_key

CLAIMS = {"userId": 7, "role": "LINEUP_STAFF", "exp": NOW + 3600}


def verifier(now: float = NOW, **settings: Any) -> Verifier:
    return Verifier(AuthSettings(**{"jwt_secret": SecretStr(SECRET), **settings}), now=lambda: now)


def signed(claims: dict[str, Any], *, without: str = "", **more: Any) -> str:
    """A token with these claims on top of the usual ones."""
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if name != without}
    return jwt.encode(payload, SECRET, algorithm="HS256", **more)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(header: dict[str, Any] | bytes, payload: bytes, secret: bytes = SECRET.encode()) -> str:
    """A token made by hand, for what a library would not sign."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    message = f"{encoded(head)}.{encoded(payload)}"
    signature = hmac.new(secret, message.encode(), hashlib.sha256).digest()
    return f"{message}.{encoded(signature)}"


def refusal(token: str, now: float = NOW, **settings: Any) -> str:
    with pytest.raises(AuthError) as caught:
        verifier(now, **settings).verify(token)
    return caught.value.code.value


def test_a_minted_token_gives_back_the_user_it_was_made_for() -> None:
    token = mint(
        SECRET,
        user_id=7,
        role=Role.LINEUP_STAFF,
        name="김하늘",
        email="a@example.org",
        admin_user_id=70,
        retreats=["2024-winter"],
        expires_in=3600,
        now=NOW,
    )
    user = verifier().verify(token, TokenSource.COOKIE)
    assert (user.user_id, user.admin_user_id, user.name) == (7, 70, "김하늘")
    assert (user.email, user.role) == ("a@example.org", Role.LINEUP_STAFF)
    assert user.retreats == frozenset({"2024-winter"})
    assert (user.expires_at, user.source) == (NOW + 3600, TokenSource.COOKIE)


def test_without_an_admin_user_id_it_is_the_user_id() -> None:
    assert verifier().verify(signed({})).admin_user_id == 7


def test_sub_stands_in_for_user_id_also_as_digits() -> None:
    assert verifier().verify(signed({"sub": "41"}, without="userId")).user_id == 41


def test_user_id_goes_before_sub() -> None:
    assert verifier().verify(signed({"sub": 41})).user_id == 7


def test_without_a_retreats_claim_every_retreat_may_be_entered() -> None:
    assert verifier().verify(signed({})).may_enter("2024-winter")


def test_a_retreats_claim_shuts_out_of_all_others() -> None:
    user = verifier().verify(signed({"retreats": ["2024-winter"]}))
    assert user.may_enter("2024-winter")
    assert not user.may_enter("2024-summer")


def test_an_empty_retreats_claim_shuts_out_of_all() -> None:
    assert not verifier().verify(signed({"retreats": []})).may_enter("2024-winter")


def test_a_token_without_exp_never_expires() -> None:
    assert verifier(now=NOW * 2).verify(signed({}, without="exp")).expires_at is None


def test_within_the_leeway_an_expired_token_counts() -> None:
    assert verifier(now=NOW + 29.9).verify(signed({"exp": NOW})).expires_at == NOW


def test_at_the_end_of_the_leeway_it_is_expired() -> None:
    assert refusal(signed({"exp": NOW}), now=NOW + 30) == "TOKEN_EXPIRED"


def test_a_forged_expired_token_is_not_called_expired() -> None:
    token = jwt.encode({**CLAIMS, "exp": 1}, "another secret, as long as the first", "HS256")
    assert refusal(token) == "INVALID_TOKEN"


def test_an_expired_token_for_someone_else_is_not_called_expired() -> None:
    assert refusal(signed({"exp": 1, "aud": "b"}), jwt_audience="a") == "INVALID_TOKEN"


def test_nbf_within_the_leeway_is_accepted() -> None:
    assert verifier().verify(signed({"nbf": NOW + 30})).user_id == 7


def test_nbf_in_the_far_future_is_refused() -> None:
    assert refusal(signed({"nbf": NOW + 31})) == "INVALID_TOKEN"


def test_iat_in_the_future_does_no_harm() -> None:
    assert verifier().verify(signed({"iat": NOW + 1e6})).user_id == 7


@pytest.mark.parametrize("claims", [{"iss": "https://b"}, {}])
def test_another_or_no_issuer_is_refused_where_one_is_set(claims: dict[str, Any]) -> None:
    assert refusal(signed(claims), jwt_issuer="https://a") == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "claims", [{"aud": "b"}, {"aud": ["b", "c"]}, {"aud": ["a", 1]}, {"aud": {"a": 1}}, {}]
)
def test_another_or_no_audience_is_refused_where_one_is_set(claims: dict[str, Any]) -> None:
    assert refusal(signed(claims), jwt_audience="a") == "INVALID_TOKEN"


def test_the_right_issuer_and_audience_are_accepted() -> None:
    token = signed({"iss": "https://a", "aud": ["x", "a"]})
    assert verifier(jwt_issuer="https://a", jwt_audience="a").verify(token).user_id == 7


def test_issuer_and_audience_do_not_matter_where_none_is_set() -> None:
    assert verifier().verify(signed({"iss": "https://a", "aud": "a"})).user_id == 7


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 5, ["HS256"], {"a": 1}])
def test_an_unsigned_token_is_refused(alg: object) -> None:
    head, payload = encoded(json.dumps({"alg": alg}).encode()), encoded(json.dumps(CLAIMS).encode())
    assert refusal(f"{head}.{payload}.") == "INVALID_TOKEN"


@pytest.mark.parametrize("alg", ["none", "HS384", "RS256", "PS256", ["HS256"]])
def test_the_algorithm_in_the_tokens_header_is_not_trusted(alg: object) -> None:
    """The signature is right for HS256; the header says otherwise."""
    assert refusal(hs256({"alg": alg}, json.dumps(CLAIMS).encode())) == "INVALID_TOKEN"


def test_an_algorithm_that_is_not_allowed_is_refused_though_its_key_is_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "public.pem"
    path.write_bytes(pem(rsa_key()))
    settings: dict[str, Any] = {"jwt_public_key_file": path, "jwt_algorithms": ("RS256",)}
    assert refusal(signed({}), **settings) == "INVALID_TOKEN"


@pytest.fixture(params=["RS256", "ES256"])
def key_pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, Path]:
    """An algorithm, a private key, and the PEM file of its public one."""
    key: Any = rsa_key() if request.param == "RS256" else ec_key()
    path = tmp_path / "public.pem"
    path.write_bytes(pem(key))
    return request.param, key, path


def test_a_token_signed_with_the_private_key_is_accepted(
    key_pair: tuple[str, Any, Path],
) -> None:
    algorithm, key, path = key_pair
    token = jwt.encode(CLAIMS, key, algorithm=algorithm)
    only_this = verifier(jwt_secret=None, jwt_public_key_file=path)
    assert only_this.verify(token).user_id == 7


@pytest.mark.parametrize("beside_a_secret", [True, False])
def test_a_public_key_is_no_hmac_secret(
    key_pair: tuple[str, Any, Path], beside_a_secret: bool
) -> None:
    _, _, path = key_pair
    public = path.read_bytes()
    for secret in (public, public.strip(), public.replace(b"\n", b"")):
        token = hs256({"alg": "HS256", "typ": "JWT"}, json.dumps(CLAIMS).encode(), secret)
        settings: dict[str, Any] = {} if beside_a_secret else {"jwt_secret": None}
        assert refusal(token, jwt_public_key_file=path, **settings) == "INVALID_TOKEN"


def test_a_token_of_one_algorithm_is_not_checked_with_the_others_key(tmp_path: Path) -> None:
    path = tmp_path / "public.pem"
    path.write_bytes(pem(rsa_key()))
    token = jwt.encode(CLAIMS, ec_key(), algorithm="ES256")
    assert refusal(token, jwt_public_key_file=path) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "claims",
    [
        {"userId": True},
        {"userId": False},
        {"userId": 7.0},
        {"userId": 0},
        {"userId": -7},
        {"userId": "-7"},
        {"userId": "7 "},
        {"userId": "٧"},
        {"userId": ""},
        {"userId": "seven"},
        {"userId": 2**63},
        {"userId": str(2**63)},
        {"userId": "9" * 5000},
        {"userId": [7]},
        {"adminUserId": True},
        {"adminUserId": "x"},
        {"role": "BOSS"},
        {"role": "lineup_staff"},
        {"role": 3},
        {"role": None},
        {"role": ["LINEUP_STAFF"]},
        {"name": 5},
        {"email": {"a": 1}},
        {"retreats": "2024-winter"},
        {"retreats": [1]},
        {"retreats": {"2024-winter": True}},
        {"exp": "tomorrow"},
        {"exp": "\ud800"},
        {"exp": True},
        {"exp": -1},
        {"exp": NOW * 1000},
        {"exp": 10**400},
        {"nbf": "0"},
        {"nbf": False},
        {"exp": [NOW]},
    ],
    ids=lambda claims: str(claims)[:40],
)
def test_a_claim_of_the_wrong_type_is_refused(claims: dict[str, Any]) -> None:
    assert refusal(signed(claims)) == "INVALID_TOKEN"


@pytest.mark.parametrize("missing", ["userId", "role"])
def test_a_token_without_a_required_claim_is_refused(missing: str) -> None:
    assert refusal(signed({}, without=missing)) == "INVALID_TOKEN"


@pytest.mark.parametrize("moment", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("claim", ["exp", "nbf"])
def test_a_time_that_is_no_number_does_not_last_for_ever(claim: str, moment: str) -> None:
    payload = f'{{"userId":7,"role":"LINEUP_STAFF","{claim}":{moment}}}'.encode()
    assert refusal(hs256({"alg": "HS256"}, payload)) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b"[" * 4000, b'{"a":' * 1000],
    ids=lambda payload: repr(payload[:10]),
)
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assert refusal(hs256({"alg": "HS256"}, payload)) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"alg":"HS256","kid":5}',
        b'{"alg":"HS256","crit":["exp2"],"exp2":1}',
        b'{"alg":"HS256","b64":false}',
        b"[" * 4000,
        b'{"alg":' + b"9" * 5000 + b"}",
    ],
    ids=lambda header: repr(header[:24]),
)
def test_a_header_that_makes_no_sense_is_refused(header: bytes) -> None:
    assert refusal(hs256(header, json.dumps(CLAIMS).encode())) == "INVALID_TOKEN"


def test_a_token_of_more_than_8_kib_is_refused_before_it_is_looked_into() -> None:
    assert len(signed({"email": "x" * 5800})) < 8192
    assert verifier().verify(signed({"email": "x" * 5800})).user_id == 7
    assert refusal(signed({"email": "x" * 6200})) == "INVALID_TOKEN"


@pytest.mark.parametrize("part", range(3))
def test_a_token_with_one_changed_letter_is_refused(part: int) -> None:
    parts = signed({}).split(".")
    letter = parts[part][5]
    parts[part] = parts[part][:5] + ("A" if letter != "A" else "B") + parts[part][6:]
    assert refusal(".".join(parts)) == "INVALID_TOKEN"


def test_a_token_with_another_spelling_of_its_signature_is_refused() -> None:
    token = signed({})
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + letters[letters.index(token[-1]) + 1]  # of its 6 bits 2 do not count
    ends = [base64.urlsafe_b64decode(f"{each.rpartition('.')[2]}=") for each in (token, other)]
    assert ends[0] == ends[1]
    assert refusal(other) == "INVALID_TOKEN"


@st.composite
def near_tokens(draw: st.DrawFn) -> str:
    """Draw a genuine token, most often with a few letters changed, added or dropped."""
    issued: list[dict[str, Any]] = [{}, {"iss": "a"}, {"aud": "b"}, {"aud": ["a", "b"], "iss": "b"}]
    issued += [{"aud": ["b", None]}, {"aud": []}]
    letters = list(signed(draw(st.sampled_from(issued)), headers={"kid": "x"}))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(letters) - 1) | st.just(len(letters) - 1))
        letters[at] = draw(st.sampled_from(["", "A", "B", "_", "-", ".", letters[at] * 2]))
    return "".join(letters)


@given(near_tokens(), st.none() | st.just("a"), st.none() | st.just("b"))
def test_a_token_is_accepted_if_pyjwt_accepts_it(
    token: str, issuer: str | None, audience: str | None
) -> None:
    found: list[int | None] = [None, None]
    with suppress(jwt.PyJWTError):
        claims = jwt.decode(
            token,
            SECRET,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_aud": audience is not None},
            issuer=issuer,
            audience=audience,
        )
        found[0] = claims["userId"]
    with suppress(AuthError):
        found[1] = verifier(jwt_issuer=issuer, jwt_audience=audience).verify(token).user_id
    assert found[0] == found[1]


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}"))
@example("")
@example("..")
@example("a.b.c")
@example("\ud800.\ud800.\ud800")
@example("Bearer x")
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    assert refusal(text) == "INVALID_TOKEN"


@given(
    st.dictionaries(
        st.sampled_from(["userId", "sub", "role", "exp", "nbf", "retreats", "name", "adminUserId"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_whatever_genuine_claims_hold_the_result_is_a_user_or_an_auth_error(
    claims: dict[str, Any],
) -> None:
    token = hs256({"alg": "HS256"}, json.dumps({"role": "LINEUP_STAFF", **claims}).encode())
    try:
        user = verifier().verify(token)
    except AuthError:
        return
    assert type(user.user_id) is int
    assert 0 < user.user_id < 2**63
    assert isinstance(user.role, Role)
    assert user.expires_at is None or user.expires_at + 30 > NOW


def test_the_client_does_not_learn_why_its_token_is_invalid() -> None:
    with pytest.raises(AuthError) as caught:
        verifier(jwt_issuer="https://a").verify(signed({}))
    assert caught.value.message == "Invalid token"
    assert "iss" in caught.value.reason


@pytest.mark.parametrize(
    ("name", "shown"), [("cut \ud83d", "cut ?"), ("a\0b", "ab"), ("김하늘 🌲", "김하늘 🌲")]
)
def test_a_name_that_cannot_be_stored_or_sent_is_cleaned(name: str, shown: str) -> None:
    user = verifier().verify(signed({"name": name, "email": name}))
    assert (user.name, user.email) == (shown, shown)


# Verified once.


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that each token is added to when its signature is verified."""
    payload, decoded = Verifier._payload, []

    def count(self: Verifier, token: str) -> dict[str, Any]:
        decoded.append(token)
        return payload(self, token)

    monkeypatch.setattr(Verifier, "_payload", count)
    return decoded


def clocked(**settings: Any) -> tuple[Verifier, list[float]]:
    """A verifier, and its clock, whose one item is the time."""
    clock = [float(NOW)]
    made = AuthSettings(**{"jwt_secret": SecretStr(SECRET), **settings})
    return Verifier(made, now=lambda: clock[0]), clock


def test_a_token_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, token, once = counted(monkeypatch), signed({}), verifier()
    assert once.verify(token) is once.verify(token)
    assert decoded == [token]


def test_the_source_of_each_use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    token, one = signed({}), verifier()
    assert one.verify(token, TokenSource.COOKIE).source is TokenSource.COOKIE
    assert one.verify(token, TokenSource.HEADER).source is TokenSource.HEADER


def test_a_verified_token_expires_all_the_same() -> None:
    one, clock = clocked()
    token = signed({"exp": NOW + 60})
    one.verify(token)
    clock[0] += 60 + 30
    with pytest.raises(AuthError) as caught:
        one.verify(token)
    assert caught.value.code.value == "TOKEN_EXPIRED"


def test_a_token_that_is_not_in_force_yet_is_accepted_once_it_is() -> None:
    one, clock = clocked()
    token = signed({"nbf": NOW + 60})
    with pytest.raises(AuthError):
        one.verify(token)
    clock[0] += 31
    assert one.verify(token).user_id == 7


def test_of_a_verified_token_with_another_signature_nothing_is_believed() -> None:
    one, token = verifier(), signed({})
    one.verify(token)
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    with pytest.raises(AuthError):
        one.verify(forged)


def test_a_verified_token_whose_key_is_removed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(jwk(rsa_key(), "a"), jwk(rsa_key("second"), "b")))
    one, _ = clocked(jwks_file=path, jwt_algorithms=("RS256",))
    token = jwt.encode(CLAIMS, rsa_key(), algorithm="RS256", headers={"kid": "a"})
    assert one.verify(token).user_id == 7
    path.write_bytes(key_set(jwk(rsa_key("second"), "b")))
    with pytest.raises(AuthError):
        one.verify(token)


def test_the_tokens_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_tokens, "MAX_TOKENS", 2)
    decoded, one = counted(monkeypatch), verifier()
    first, second, third = (signed({"userId": number}) for number in (1, 2, 3))
    for token in (first, second, first, third, first, second):
        one.verify(token)
    assert decoded == [first, second, third, second]
