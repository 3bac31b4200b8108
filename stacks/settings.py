"""What a cabinet can be set to: the typed model behind templates and customSettings.

Decides which settings exist and which values each may have. `inconsistencies` says what does not fit together; it is
kept apart from the model, because overrides are checked alone first, when the rest is not known yet.
It never merges (`merge`), and never knows where a value came from.
"""

from __future__ import annotations

import itertools
import re
import zoneinfo
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from stacks.fields import Email, LineText, LongText, ShortText, listed, matching
from stacks.problems import FieldProblem, closest, shown

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _time(value: object) -> str:
    match = re.fullmatch(r"([01]?[0-9]|2[0-4]):([0-5][0-9])", value) if isinstance(value, str) else None
    if match is None or (int(match[1]) == 24 and match[2] != "00"):
        raise ValueError('a time of day from "00:00" to "24:00", such as "08:30"')
    return f"{int(match[1]):02d}:{match[2]}"


def _timezone(value: object) -> str:
    if isinstance(value, str) and _is_timezone(value):
        return value
    # Reading the whole list takes longer than all the rest of a manifest, so only the suggestion does.
    suggestion = closest(value, zoneinfo.available_timezones()) if isinstance(value, str) else None
    raise PydanticCustomError("timezone", "an IANA time zone such as Europe/Zurich", {"suggestion": suggestion or ""})


def _is_timezone(value: str) -> bool:
    if value != "UTC" and ("/" not in value or value.startswith(("posix/", "right/"))):
        return False
    try:
        zoneinfo.ZoneInfo(value)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def _https(value: object) -> str:
    if not isinstance(value, str) or len(value) > 500 or not re.fullmatch(r"https://[^\s/?#]+(?:[/?#]\S*)?", value):
        raise ValueError("an https:// address")
    return value


TimeOfDay = Annotated[str, BeforeValidator(_time)]
Timezone = Annotated[str, BeforeValidator(_timezone)]
Locale = Annotated[str, matching(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?", "a locale such as fr-CH or de")]
Currency = Annotated[str, matching(r"[A-Z]{3}", "a three-letter ISO 4217 code such as CHF")]
Color = Annotated[str, matching(r"#[0-9a-fA-F]{6}", 'a colour such as "#0F766E"'), AfterValidator(str.upper)]
HttpsUrl = Annotated[str, BeforeValidator(_https)]
Channel = Literal["email", "sms"]


class Section(BaseModel):
    """One mapping of the settings. An unknown key is an error, so that a mistyped override is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class Period(Section):
    open: TimeOfDay
    close: TimeOfDay

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.open >= self.close:
            raise ValueError("open before close, such as 08:00 and 18:00")
        return self


def _periods(value: tuple[Period, ...]) -> tuple[Period, ...]:
    ordered = tuple(sorted(value, key=lambda period: period.open))
    if any(first.close > second.open for first, second in itertools.pairwise(ordered)):
        raise ValueError("periods of a day that do not overlap")
    return ordered


Day = Annotated[tuple[Period, ...], BeforeValidator(listed), AfterValidator(_periods), Field(max_length=6)]


class WorkingHours(Section):
    """When the cabinet is open. A day is a list of periods; an empty list means closed."""

    monday: Day = ()
    tuesday: Day = ()
    wednesday: Day = ()
    thursday: Day = ()
    friday: Day = ()
    saturday: Day = ()
    sunday: Day = ()


class AppointmentType(Section):
    code: Annotated[str, matching(r"[a-z][a-z0-9-]{0,39}", "a code such as check-up")]
    title: ShortText
    minutes: Annotated[int, Field(ge=5, le=480)]
    bookable_online: bool = True


class Appointments(Section):
    slot_minutes: Annotated[int, Field(ge=5, le=240)] = 30
    buffer_minutes: Annotated[int, Field(ge=0, le=120)] = 0
    chairs: Annotated[int, Field(ge=1, le=100)] = 1
    types: Annotated[tuple[AppointmentType, ...], BeforeValidator(listed), Field(max_length=100)] = ()


class Cancellation(Section):
    notice_hours: Annotated[int, Field(ge=0, le=720)] = 24
    fee_percent: Annotated[int, Field(ge=0, le=100)] = 0
    policy: LongText | None = None


class Booking(Section):
    online: bool = True
    advance_days: Annotated[int, Field(ge=1, le=730)] = 30
    minimum_notice_hours: Annotated[int, Field(ge=0, le=720)] = 2
    max_open_per_patient: Annotated[int, Field(ge=1, le=50)] = 3
    new_patients: bool = True
    guardian_required: bool = False
    cancellation: Cancellation = Cancellation()


class Reminder(Section):
    channel: Channel
    hours_before: Annotated[int, Field(ge=1, le=720)]


class EmailChannel(Section):
    enabled: bool = True
    sender_name: ShortText | None = None
    reply_to: Email | None = None


class SmsChannel(Section):
    enabled: bool = False
    sender_name: Annotated[str, matching(r"[A-Za-z0-9]{1,11}", "1 to 11 letters and digits")] | None = None


class Notifications(Section):
    email: EmailChannel = EmailChannel()
    sms: SmsChannel = SmsChannel()
    reminders: Annotated[tuple[Reminder, ...], BeforeValidator(listed), Field(max_length=20)] = ()


class Branding(Section):
    primary_color: Color = "#0F766E"
    secondary_color: Color = "#134E4A"
    accent_color: Color = "#F59E0B"
    logo_url: HttpsUrl | None = None
    tagline: LineText | None = None


class Settings(Section):
    """All settings of one cabinet. Every key has a default, so that a partial mapping can be checked alone."""

    timezone: Timezone = "Europe/Zurich"
    locale: Locale = "fr-CH"
    currency: Currency = "CHF"
    working_hours: WorkingHours = WorkingHours()
    appointments: Appointments = Appointments()
    booking: Booking = Booking()
    notifications: Notifications = Notifications()
    branding: Branding = Branding()
    extra: dict[str, JsonValue] = Field(default_factory=dict)


def inconsistencies(settings: Settings, *, prefix: str) -> Iterator[FieldProblem]:
    """Values that are valid alone but do not fit together. `prefix` is put before each path."""
    for day in WEEKDAYS:
        for index, period in enumerate(getattr(settings.working_hours, day)):
            if _minutes(period.close) - _minutes(period.open) < settings.appointments.slot_minutes:
                yield FieldProblem(
                    field=f"{prefix}.workingHours.{day}[{index}]",
                    given=f"{period.open} to {period.close}",
                    valid=f"a period of at least one slot (slotMinutes is {settings.appointments.slot_minutes})",
                )
    enabled = {"email": settings.notifications.email.enabled, "sms": settings.notifications.sms.enabled}
    for index, reminder in enumerate(settings.notifications.reminders):
        if not enabled[reminder.channel]:
            yield FieldProblem(
                field=f"{prefix}.notifications.reminders[{index}].channel",
                given=shown(reminder.channel),
                valid=f"a channel that is enabled (notifications.{reminder.channel}.enabled is false)",
            )
    codes = [kind.code for kind in settings.appointments.types]
    for index, code in enumerate(codes):
        if code in codes[:index]:
            yield FieldProblem(
                field=f"{prefix}.appointments.types[{index}].code", given=shown(code), valid="a code used only once"
            )
    if settings.booking.minimum_notice_hours > settings.booking.advance_days * 24:
        yield FieldProblem(
            field=f"{prefix}.booking.minimumNoticeHours",
            given=shown(settings.booking.minimum_notice_hours),
            valid=f"at most booking.advanceDays in hours ({settings.booking.advance_days * 24})",
        )


def _minutes(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)
