-- Version 11: what is critical is found by an index of its own, and may go before what is not.

CREATE INDEX deliveries_critical ON deliveries (target, id) WHERE state = 'pending' AND severity = 'critical';
