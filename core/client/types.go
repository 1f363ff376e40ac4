package client

import (
	"cmp"
	"time"
)

// ConversationID is the MLS group id, which is also the server's channel id.
type ConversationID [16]byte

// MessageID is chosen by the sender and the same on every device.
type MessageID [16]byte

// Position orders the messages of a conversation on this device; compare with
// Compare. The zero Position stands for none. A message that is not yet sent
// sorts after all others and gets its final position when the server has placed
// it; MessageChanged tells the new one.
type Position struct {
	Order uint64
	ID    int64
}

// Compare is negative where p comes before q, and positive where after.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Order, q.Order), cmp.Compare(p.ID, q.ID))
}

// Kind tells a chat between two accounts from a named group.
type Kind uint8

const (
	// KindDirect is a chat of exactly two accounts, titled by the other's name.
	KindDirect Kind = 1
	// KindGroup has a title and administrators.
	KindGroup Kind = 2
)

// ConversationState says whether one can still write into a conversation.
type ConversationState uint8

const (
	// StateActive is the ordinary state.
	StateActive ConversationState = iota
	// StateLeft means that this account left.
	StateLeft
	// StateRemoved means that somebody removed this account.
	StateRemoved
	// StateBroken means that this device refused what a member did to the
	// group, or could not follow it, and does not take part for now: it asks the
	// others by itself for the way back. What it has is still there to read, and
	// what waits to be sent goes out when it is back.
	StateBroken
)

// Conversation is one row of the conversation list.
type Conversation struct {
	ID    ConversationID
	Kind  Kind
	State ConversationState
	// Title is the group's name, or the other person's name in a direct chat.
	Title string
	// Peer is the other account of a direct chat; zero in a group.
	Peer AccountID
	// Preview is the newest message's text, shortened; for a system event,
	// PreviewEvent is set instead.
	Preview       string
	PreviewEvent  *SystemEvent
	PreviewFromMe bool
	PreviewSender string
	// LastActivity is when the newest message was sent, or the conversation
	// began.
	LastActivity time.Time
	Unread       int
	// CanManage says whether this account may add, remove and rename.
	CanManage bool
	// Muted and Pinned are this account's settings, the same on its devices;
	// Blocked says that the Peer's invitations are declined.
	Muted, Pinned, Blocked bool
}

// MessageKind tells what people wrote from what happened to the group.
type MessageKind uint8

const (
	// KindText is text that somebody wrote.
	KindText MessageKind = 1
	// KindEvent is something that happened; see [Message.Event].
	KindEvent MessageKind = 2
)

// MessageState is how far a message has come.
type MessageState uint8

const (
	// StateReceived is a message of somebody else, or an event.
	StateReceived MessageState = iota
	// StateQueued waits in the vault for a connection.
	StateQueued
	// StateSending is on its way to the server now.
	StateSending
	// StateSent is accepted by the server.
	StateSent
	// StateFailed was refused for good; [Message.Err] says why. [Client.Retry]
	// tries again.
	StateFailed
)

// Message is one entry of a conversation.
type Message struct {
	ID           MessageID
	Conversation ConversationID
	Position     Position
	Kind         MessageKind
	Mine         bool
	Sender       AccountID
	SenderName   string
	// Text is the body of a KindText message and, for KindEvent, a plain
	// English sentence such as "Alice added Bob."
	Text string
	// Event is set for KindEvent only, for phrasing in other languages.
	Event  *SystemEvent
	SentAt time.Time
	State  MessageState
	// Err says, for a person, why State is StateFailed.
	Err string
}

// EventKind says what a system event tells.
type EventKind string

const (
	// EventCreated: Actor started the conversation.
	EventCreated EventKind = "created"
	// EventAdded: Actor added Subjects.
	EventAdded EventKind = "added"
	// EventRemoved: Actor removed Subjects.
	EventRemoved EventKind = "removed"
	// EventLeft: Subjects left.
	EventLeft EventKind = "left"
	// EventRenamed: Actor changed the title to Title.
	EventRenamed EventKind = "renamed"
	// EventDeviceAdded: Actor takes part with another device, named Title.
	EventDeviceAdded EventKind = "device-added"
	// EventDeviceRemoved: a device of Actor, named Title, no longer takes part.
	EventDeviceRemoved EventKind = "device-removed"
	// EventUnreadable: a message of Actor (if known) could not be read.
	EventUnreadable EventKind = "unreadable"
	// EventKeyChanged: Subjects turned up with another account key than the one
	// known; it was refused.
	EventKeyChanged EventKind = "key-changed"
	// EventBroken: this device stopped following the conversation.
	EventBroken EventKind = "broken"
	// EventReturned: this device follows the conversation again; messages from
	// From to Until may be missing.
	EventReturned EventKind = "returned"
	// EventOverflow: the server's queue was full and messages may be missing.
	EventOverflow EventKind = "overflow"
)

// Person is an account as a system event saw it.
type Person struct {
	AccountID AccountID `json:"id"`
	Name      string    `json:"name"`
	// Me is filled in when the event is read.
	Me bool `json:"-"`
}

// SystemEvent is the structured form of a KindEvent message.
type SystemEvent struct {
	Kind     EventKind `json:"kind"`
	Actor    Person    `json:"actor"`
	Subjects []Person  `json:"subjects,omitempty"`
	// Title is the new group name, or a device's name.
	Title string `json:"title,omitempty"`
	// Reason says more where there is more to say.
	Reason string `json:"reason,omitempty"`
	// From and Until bound what may be missing.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Page asks for a part of a conversation. The zero Page is the newest
// messages. Before and After exclude their own position; at most one is set.
type Page struct {
	Before, After Position
	// Limit is at most 500; 0 means 50.
	Limit int
}

// Member is an account in a conversation.
type Member struct {
	AccountID AccountID
	Name      string
	Admin     bool
	Me        bool
	// Devices is how many of its devices take part.
	Devices int
}

// Contact is an account that this device has met.
type Contact struct {
	AccountID AccountID
	Name      string
}

// Me describes this device and its account.
type Me struct {
	Name       string
	Server     string
	AccountID  AccountID
	DeviceID   DeviceID
	DeviceName string
}

// Registration says who may make an account on a server.
type Registration uint8

const (
	// RegistrationOpen: anybody.
	RegistrationOpen Registration = 1
	// RegistrationInvite: whoever has an invite link with a token.
	RegistrationInvite Registration = 2
	// RegistrationClosed: nobody.
	RegistrationClosed Registration = 3
)

// ServerInfo is what a server says about itself.
type ServerInfo struct {
	Name         string
	Version      string
	Registration Registration
	// PushKey is the server's key at push services (RFC 8292), which a push
	// subscription may have to be made for: P-256, uncompressed, 65 bytes. Nil
	// where the server wakes nobody.
	PushKey []byte
	// Rendezvous are the servers at which this one leaves word where it can be
	// reached.
	Rendezvous []Link
	// MaxBlobSize is how large an encrypted file may be that the server takes,
	// in bytes; 0 where it does not say.
	MaxBlobSize uint64
}
