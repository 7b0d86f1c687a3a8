"""The methods. ``anomaly_lib.registry`` names them; ``base`` says what each offers."""
