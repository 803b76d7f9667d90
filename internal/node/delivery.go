package node

import "github.com/musterdb/muster/engine"

// Delivery is messages that have their places in the queues of the shards, in the order in which deliveries began.
type Delivery interface {
	// Wait returns once every message is durable and applied, or refused: outcomes[i] belongs to msgs[i]. On an
	// error nothing is known of any of them and all may be sent again. It ends with the context that the delivery
	// began with. REQUIRES: it is called exactly once; what msgs refers to does not change before it returns.
	Wait() (outcomes []engine.Outcome, err error)
}
