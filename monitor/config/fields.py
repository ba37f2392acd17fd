"""Settings of the field mapping: where each field of an event stands in the user's messages."""

from pydantic import ConfigDict, Field

from monitor.config.kinds import FieldPath
from monitor.forms.kinds import Section


class Fields(Section):
    """Where fields stand. One value inside signals, probabilities, interval or segments may have a key of its own."""

    model_config = ConfigDict(extra="allow", frozen=True, validate_default=True)
    __pydantic_extra__: dict[str, FieldPath] = Field(init=False)


class PredictionFields(Fields):
    """Where each field of a prediction stands in your message: a key, or a path of keys with dots.

    A single value may be taken from elsewhere: `segments.lang = "meta.language"`, `signals.logprob = "token_p"`.
    """

    prediction_id: FieldPath = Field(
        default="prediction_id",
        description="Text of 1 to 256 characters that labels will name.",
    )
    model: FieldPath = Field(default="model", description="Name of the model.")
    model_version: FieldPath = Field(default="model_version", description="Version of the model (optional).")
    predicted_at: FieldPath = Field(
        default="predicted_at",
        description="When it was predicted: RFC 3339, or milliseconds since 1970.",
    )
    confidence: FieldPath = Field(default="confidence", description="The stated confidence, 0 to 1.")
    signals: FieldPath = Field(default="signals", description="Further confidences, {name: 0 to 1} (optional).")
    predicted: FieldPath = Field(default="predicted", description="The answer, to compare with a label (optional).")
    probabilities: FieldPath = Field(default="probabilities", description="{class: probability} (optional).")
    interval: FieldPath = Field(default="interval", description="{low, high, level} of a numeric answer (optional).")
    segments: FieldPath = Field(default="segments", description="{dimension: value} (optional).")
    reference: FieldPath = Field(default="reference", description="URL or short text for reviewers (optional).")
    chain_id: FieldPath = Field(default="chain_id", description="What the steps of one chain share (optional).")
    step: FieldPath = Field(default="step", description="Number of the step in its chain (optional).")


class LabelFields(Fields):
    """Where each field of a label stands in your message."""

    prediction_id: FieldPath = Field(default="prediction_id", description="The prediction that is judged.")
    model: FieldPath = Field(default="model", description='Name of the model; needed only with id_scope = "model".')
    labelled_at: FieldPath = Field(
        default="labelled_at",
        description="When it was judged: RFC 3339, or milliseconds since 1970.",
    )
    correct: FieldPath = Field(default="correct", description="Whether it was right: true, false, or a share 0 to 1.")
    label: FieldPath = Field(
        default="label",
        description="The true answer, compared with `predicted` or `probabilities`.",
    )
    value: FieldPath = Field(default="value", description="The true number, compared with `interval`.")
    retract: FieldPath = Field(default="retract", description="true takes the label back.")
    version: FieldPath = Field(
        default="version",
        description="Whole number >= 0; the greatest version wins (optional).",
    )
    source: FieldPath = Field(default="source", description="Who judged: human, user, judge, complaint... (optional).")
    propensity: FieldPath = Field(
        default="propensity",
        description="Chance that this prediction was chosen for labelling (optional).",
    )


class FieldsSection(Section):
    """Names of your fields."""

    prediction: PredictionFields = Field(default=PredictionFields(), description="Fields of a prediction.")
    label: LabelFields = Field(default=LabelFields(), description="Fields of a label.")
