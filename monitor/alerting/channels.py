"""Where notices go. Secrets are named by variable or file, and never stand in the rules."""

from typing import Annotated, Literal

from pydantic import Field

from monitor.alerting.kinds import Address, SecretFile, Url, Variable
from monitor.forms.durations import Duration, parse
from monitor.forms.kinds import Count, Name, Section, Switch


class Slack(Section):
    """Slack by a bot: one message a group that stays current, changes in its thread, a diagram."""

    kind: Literal["slack"] = Field(description="A Slack channel, by a bot's token.")
    token_env: Variable | None = Field(default=None, description="Variable that holds the bot's token.")
    token_file: SecretFile | None = Field(default=None, description="File that holds it.")
    channel: Name = Field(description="Id of the channel, say C0123456789.")
    thread: Switch = Field(default=True, description="Whether changes are told in the thread of the first message.")
    diagram: Switch = Field(default=True, description="Whether a reliability diagram is added.")
    base_url: Url = Field(default="https://slack.com/api/", description="Where Slack's Web API is.")


class SlackWebhook(Section):
    """Slack by an incoming webhook: quick to set up; messages cannot be changed later."""

    kind: Literal["slack_webhook"] = Field(description="A Slack channel, by an incoming webhook.")
    url_env: Variable | None = Field(default=None, description="Variable that holds the webhook's URL.")
    url_file: SecretFile | None = Field(default=None, description="File that holds it.")


class PagerDuty(Section):
    """PagerDuty's Events API v2: one incident a problem."""

    kind: Literal["pagerduty"] = Field(description="A PagerDuty service.")
    routing_key_env: Variable | None = Field(default=None, description="Variable that holds the routing key.")
    routing_key_file: SecretFile | None = Field(default=None, description="File that holds it.")
    url: Url = Field(default="https://events.pagerduty.com", description="Where the Events API is.")


class Webhook(Section):
    """Any HTTP receiver of Alertmanager's JSON."""

    kind: Literal["webhook"] = Field(description="An HTTP receiver.")
    url: Url | None = Field(default=None, description="Its URL, where that is no secret.")
    url_env: Variable | None = Field(default=None, description="Variable that holds the URL.")
    url_file: SecretFile | None = Field(default=None, description="File that holds it.")
    hmac_secret_env: Variable | None = Field(default=None, description="Variable that holds the key of signatures.")
    hmac_secret_file: SecretFile | None = Field(default=None, description="File that holds it.")


class Alertmanager(Section):
    """A Prometheus Alertmanager."""

    kind: Literal["alertmanager"] = Field(description="Alertmanagers.")
    urls: tuple[Url, ...] = Field(min_length=1, max_length=16, description="Every instance, never a load balancer.")
    resend_every: Duration = Field(
        default=parse("1m"), ge=parse("1s"), le=parse("1h"), description="How often firing alerts are sent again."
    )


class Email(Section):
    """A digest by mail."""

    kind: Literal["email"] = Field(description="Addresses, by SMTP.")
    host: Name = Field(description="The mail server.")
    port: Count = Field(default=587, ge=1, le=65_535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is kept safe."
    )
    username: Name | None = Field(default=None, description="Who logs in, where somebody has to.")
    password_env: Variable | None = Field(default=None, description="Variable that holds the password.")
    password_file: SecretFile | None = Field(default=None, description="File that holds it.")
    sender: Address = Field(alias="from", description="The sender's address.")
    to: tuple[Address, ...] = Field(min_length=1, max_length=100, description="The receivers' addresses.")


Channel = Annotated[Slack | SlackWebhook | PagerDuty | Webhook | Alertmanager | Email, Field(discriminator="kind")]
