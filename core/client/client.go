package client

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
)

var errTODO = errors.New("client: not implemented yet")

type (
	// AccountID names an account for ever.
	AccountID = identity.AccountID
	// DeviceID names a device of an account.
	DeviceID = identity.DeviceID
	// Link is an invite link: where a server is and how to recognise it.
	Link = wire.Link
)

// ParseLink reads a qpc:// link as a person pastes it.
func ParseLink(s string) (Link, error) { return wire.ParseLink(s) }

// Options says where a profile lives and how the client behaves.
type Options struct {
	// Dir is the profile's directory; one account on one device.
	Dir string
	// DeviceName is what people see of this device; at most 64 bytes.
	DeviceName string
	// Logger gets events without names, ids or content; nil discards them.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client is one device of one account.
type Client struct{}

// HasProfile says whether dir holds a profile to Open.
func HasProfile(dir string) bool { return false }

// Register makes an account and its first device, and the profile in o.Dir.
func Register(ctx context.Context, o Options, link Link, name, password string) (*Client, error) {
	return nil, errTODO
}

// Login adds this device to an account, and makes the profile in o.Dir.
func Login(ctx context.Context, o Options, link Link, name, password string) (*Client, error) {
	return nil, errTODO
}

// Open unlocks an existing profile; it works offline and connects in the
// background.
func Open(ctx context.Context, o Options, password string) (*Client, error) { return nil, errTODO }

// Probe asks a server about itself.
func Probe(ctx context.Context, link Link) (ServerInfo, error) { return ServerInfo{}, errTODO }

// Close stops everything and locks the vault.
func (c *Client) Close() error { return errTODO }

// Me describes this device and its account.
func (c *Client) Me() Me { return Me{} }

// Link is the server's link, without a token.
func (c *Client) Link() Link { return Link{} }

// Subscribe returns a channel of events and a function that ends the
// subscription and closes the channel.
func (c *Client) Subscribe() (events <-chan Event, cancel func()) { return nil, func() {} }

// Connection is the state of the connection now.
func (c *Client) Connection() ConnectionChanged { return ConnectionChanged{} }

// Conversations lists all, newest activity first.
func (c *Client) Conversations(ctx context.Context) ([]Conversation, error) { return nil, errTODO }

// Conversation is one of them, or ErrUnknownConversation.
func (c *Client) Conversation(ctx context.Context, id ConversationID) (Conversation, error) {
	return Conversation{}, errTODO
}

// Messages is a page of a conversation, oldest first.
func (c *Client) Messages(ctx context.Context, id ConversationID, p Page) ([]Message, error) {
	return nil, errTODO
}

// Members lists who takes part.
func (c *Client) Members(ctx context.Context, id ConversationID) ([]Member, error) {
	return nil, errTODO
}

// Send puts a text into the vault and returns; delivery goes on by itself.
func (c *Client) Send(ctx context.Context, id ConversationID, text string) (Message, error) {
	return Message{}, errTODO
}

// Retry queues a failed message again.
func (c *Client) Retry(ctx context.Context, id ConversationID, message MessageID) error {
	return errTODO
}

// MarkRead sets the unread count of a conversation to zero.
func (c *Client) MarkRead(ctx context.Context, id ConversationID) error { return errTODO }

// FindUser looks a name up, on the server if need be.
func (c *Client) FindUser(ctx context.Context, name string) (Contact, error) {
	return Contact{}, errTODO
}

// Contacts lists the accounts that this device has met, by name, without oneself.
func (c *Client) Contacts(ctx context.Context) ([]Contact, error) { return nil, errTODO }

// StartDirect opens the chat with a person; the existing one if there is one.
func (c *Client) StartDirect(ctx context.Context, name string) (Conversation, error) {
	return Conversation{}, errTODO
}

// CreateGroup makes a group with this account as its administrator.
func (c *Client) CreateGroup(ctx context.Context, title string, names []string) (Conversation, error) {
	return Conversation{}, errTODO
}

// AddMembers adds accounts to a group.
func (c *Client) AddMembers(ctx context.Context, id ConversationID, names []string) error {
	return errTODO
}

// RemoveMember removes an account from a group.
func (c *Client) RemoveMember(ctx context.Context, id ConversationID, account AccountID) error {
	return errTODO
}

// Rename changes a group's title.
func (c *Client) Rename(ctx context.Context, id ConversationID, title string) error { return errTODO }

// Leave leaves a conversation.
func (c *Client) Leave(ctx context.Context, id ConversationID) error { return errTODO }
