"""The candidates of the sample results folder, and what they wrote.

A candidate's code is the reference with wrong answers of the exercise in it (`graders/*/wrong`),
so that what they lose is what such code loses. `OWN` are mistakes that no wrong answer makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Person:
    """One candidate. `code` has, for each exercise, the mistakes in it; None is the starter."""

    slug: str
    name: str
    code: dict[str, tuple[str, ...] | None]
    talk: dict[str, str] = field(default_factory=dict)  # a letter for each prompt, see answers.yaml
    flags: tuple[str, ...] = ()
    minutes: int = 88
    before: tuple[str, ...] = ()  # what they had handed in earlier
    prompts: bool = True  # whether the discussion's prompts were left in place


PEOPLE = [
    Person(
        "amira-haddad",
        "Amira Haddad",
        {"q1": (), "q3": ("near_t_rounded_down",), "q12": ("near_six_attempts",)},
        {"q1": "sssss-", "q3": "sss-ss", "q12": "ssss"},
        minutes=84,
    ),
    Person(
        "bruno-keller",
        "Bruno Keller",
        {"q1": ("near_fnmatch", "near_limit_for_handlers_only"),
         "q3": ("near_redis_check_then_add", "near_forwarded_for_believed")},
        {"q1": "swsw", "q3": "ws-s"},
    ),
    Person(
        "chen-wei-ling",
        "Chen Wei-Ling",
        {"q1": ("near_wait_for", "near_resume_last"),
         "q3": ("q3_04_memory_retry_down", "near_response_buffered"),
         "q12": ("near_check_then_act", "q12_09_unknown_skips_the_hash")},
        {"q1": "ss-ss", "q3": "swss", "q12": "sws"},
        minutes=79,
    ),
    Person(
        "dana-novakova",
        "Dana Nováková",
        {"q1": ("near_backoff_from_zero", "near_shallow_copy", "q1_12_no_dedup", "own_prints"),
         "q3": ("q3_11_redis_denied_counts", "q3_16_refusal_is_plain_json")},
        {"q1": "ww--w", "q3": "-ww"},
    ),
    Person(
        "emeka-okafor",
        "Emeka Okafor",
        {"q1": ("q1_12_no_dedup", "near_settle_at_the_end"),
         "q3": ("q3_13_redis_app_clock", "near_redis_no_end")},
        {"q1": "swss", "q3": "sw"},
        ("late by 12 min (reported by the candidate)",
         "changed after `archprep submit`: q01_event_bus/eventbus.py"),
        minutes=102,
    ),
    Person(
        "fatima-zahra-el-idrissi",
        "Fatima-Zahra El Idrissi",
        {"q1": ("near_publisher_keeps_hold", "q1_13_keys_ignored"),
         "q3": ("q3_02_authorization_is_identity", "near_decision_on_self"),
         "q12": ("q12_04_iss_unchecked", "near_422", "near_verify_on_the_loop")},
        {"q1": "wsws", "q3": "wwsw", "q12": "wws"},
    ),
    Person(
        "giulia-rossi",
        "Giulia Rossi",
        {"q1": ("q1_17_unbounded_concurrency", "q1_11_shared_payload",
                "near_one_attempt_more", "near_publisher_keeps_hold"),
         "q3": ("q3_09_redis_state_per_process", "near_bucket_burst_ignored",
                "q3_14_store_error_raises")},
        {"q1": "-w-w", "q3": "w"},
    ),
    Person(
        "hanna-lindqvist",
        "Hanna Lindqvist",
        {"q1": ("near_ttl_from_publish",), "q3": (), "q12": ("near_redirect_by_prefix",)},
        {"q1": "sssss", "q3": "sssss", "q12": "sss"},
        minutes=71,
    ),
    Person(
        "ivan-petrov",
        "Ivan Petrov",
        {"q1": ("q1_14_publish_waits", "near_attempt_number_missing", "near_fnmatch",
                "near_unrouted_vanish"),
         "q3": ("own_turns_for_ever", "near_no_time_limit")},
        {"q1": "w-w", "q3": "-w"},
    ),
    Person(
        "jonas-mueller",
        "Jonas Müller",
        {"q1": ("own_unknown_name", "near_low_number_is_urgent")},
        {"q1": "ws"},
        ("q3 is missing: the submission has no folder q03_rate_limiting",),
    ),
    Person(
        "kavya-raman",
        "Kavya Raman",
        {"q1": ("near_filter_error_declines",),
         "q3": ("near_memory_joined_key", "q3_10_fields_on_success_only")},
        {"q1": "wss-s", "q3": "s-s"},
    ),
    Person(
        "liam-oconnor",
        "Liam O'Connor",
        {"q1": ("near_concurrency_counts_one_less",), "q3": ("q3_08_memory_wall_clock",)},
        {"q1": "sw", "q3": "ss"},
    ),
    Person(
        "mei-tanaka",
        "Mei Tanaka",
        {"q1": ("near_newest_first", "near_stop_still_accepts")},
        {"q1": "s-s"},
    ),
    Person(
        "noah-weiss",
        "Noah Weiss",
        {"q1": ("q1_01_handlers_all_at_once",),
         "q3": ("near_own_fields_kept", "near_tiers_ignored")},
        {"q1": "swsw", "q3": "sw"},
        ("handed in after it was received (reported by the candidate)",),
        before=("noah.zip",),
    ),
    Person("olga-schmidt", "Olga Schmidt", {"q1": None, "q3": None}, minutes=90),
    Person(
        "pedro-alvarez",
        "Pedro Álvarez",
        {"q1": ("near_backoff_from_zero",), "q3": ("own_syntax_error",)},
        {"q1": "sw-s", "q3": "ws"},
        prompts=False,
    ),
    Person(
        "rosa-marin",
        "Rosa Marín",
        {"q1": ("q1_07_replay_runs_everything",), "q3": ("near_redis_no_prefix",)},
        {"q1": "ss", "q3": "s"},
    ),
]  # fmt: skip

_GOOD = "            if error is None:\n"
# Mistakes of our own: (file, text of the reference, what stands there instead).
OWN = {
    "own_prints": (
        "eventbus.py",
        _GOOD,
        "            print('DEBUG', attempt, job.event.id, repr(error))\n" + _GOOD,
    ),
    "own_unknown_name": (
        "eventbus.py",
        "        letter, job = self._buried[index]\n",
        "        letter, job = self._dead_letter[index]\n",
    ),
    "own_turns_for_ever": (
        "ratelimit.py",
        "            _, key = heappop(self._ends)",
        "            continue",
    ),
    "own_syntax_error": (
        "ratelimit.py",
        "        now = self._clock()\n        self._forget(now)\n",
        "        now = self._clock(\n        self._forget(now)\n",
    ),
}
