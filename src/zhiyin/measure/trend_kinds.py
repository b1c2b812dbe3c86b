"""What the rows of `results` that tell of trends are called."""

TREND, ANOMALY, CHANGE, FORECAST, RISING = "trend", "anomaly", "change", "forecast", "rising"
KINDS = (TREND, ANOMALY, CHANGE, FORECAST, RISING)
