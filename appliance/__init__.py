"""A calling appliance: doorbell and intercom with WebRTC calls over MQTT."""

__version__ = "0.1.0"
