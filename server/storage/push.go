package storage

// PushTarget is a device that is to be woken through a push service.
type PushTarget struct {
	Queue QueueID
	// Sealed is the registration as the caller stored it.
	Sealed []byte
	// LastSeq is the newest seq that was assigned in the queue, and Acked the
	// newest that is gone from it. They are equal where nothing waits.
	LastSeq, Acked uint64
}
