package client

import "time"

// Event is something that happened: one of [ConnectionChanged],
// [ConversationChanged], [ConversationRemoved], [MessageAdded],
// [MessageChanged], [Resync].
type Event interface{ event() }

// ConnectionState says whether the server can be reached.
type ConnectionState uint8

const (
	// Offline waits until Retry, then tries again.
	Offline ConnectionState = iota
	// Connecting is trying now.
	Connecting
	// Online means connected, authenticated and receiving.
	Online
)

func (s ConnectionState) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Online:
		return "online"
	default:
		return "offline"
	}
}

// ConnectionChanged tells the state of the connection.
type ConnectionChanged struct {
	State ConnectionState
	// Err is why it is Offline; show it with UserMessage.
	Err error
	// Retry is when the next attempt is due; zero where none is planned.
	Retry time.Time
}

// ConversationChanged carries a conversation that is new, or whose row changed.
type ConversationChanged struct{ Conversation Conversation }

// ConversationRemoved tells that a conversation is gone from the list.
type ConversationRemoved struct{ ID ConversationID }

// MessageAdded carries a new message, one's own included.
type MessageAdded struct{ Message Message }

// MessageChanged carries a message whose state or position changed.
type MessageChanged struct{ Message Message }

// Resync tells a reader that it fell so far behind that events were dropped:
// read everything anew.
type Resync struct{}

func (ConnectionChanged) event()   {}
func (ConversationChanged) event() {}
func (ConversationRemoved) event() {}
func (MessageAdded) event()        {}
func (MessageChanged) event()      {}
func (Resync) event()              {}
