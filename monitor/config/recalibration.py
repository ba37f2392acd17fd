"""Settings -> when and how models are recalibrated. Apart from the other values: the maps take long to import."""

from monitor.calibration.gate import Gate
from monitor.config.sections import RecalibrationPlanSection, Settings
from monitor.recalibration.plan import Plan, Plans
from monitor.recalibration.trial import Terms


def plans(settings: Settings) -> Plans:
    """The plan of every model."""
    models = settings.recalibration.models
    return Plans(
        _plan(settings, RecalibrationPlanSection()), {name: _plan(settings, each) for name, each in models.items()}
    )


def _plan(settings: Settings, own: RecalibrationPlanSection) -> Plan:
    common = settings.recalibration
    return Plan(
        mode=own.mode or common.mode,
        schedule=own.schedule or common.schedule,
        timezone=common.timezone,
        window=common.window,
        holdout=common.holdout,
        terms=Terms(
            method=own.method or common.method,
            by=common.by if own.by is None else own.by,
            clip=common.clip,
            gate=Gate(min_labels=common.min_labels, worst_loss=common.worst_loss),
        ),
        on_alerts=common.on_alerts if own.on_alerts is None else own.on_alerts,
        rolls_back=common.roll_back,
    )
