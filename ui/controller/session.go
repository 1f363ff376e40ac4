package controller

import (
	"context"
	"runtime/debug"
	"time"

	"quicprochat/core/client"
)

// Session is an unlocked profile: the part of [client.Client] that screens use.
type Session interface {
	Close() error
	Me() client.Me
	Link() client.Link
	Subscribe() (events <-chan client.Event, cancel func())
	Connection() client.ConnectionChanged
	Conversations(ctx context.Context) ([]client.Conversation, error)
	Messages(ctx context.Context, id client.ConversationID, p client.Page) ([]client.Message, error)
	Members(ctx context.Context, id client.ConversationID) ([]client.Member, error)
	Send(ctx context.Context, id client.ConversationID, text string) (client.Message, error)
	Retry(ctx context.Context, id client.ConversationID, message client.MessageID) error
	MarkRead(ctx context.Context, id client.ConversationID) error
	Contacts(ctx context.Context) ([]client.Contact, error)
	StartDirect(ctx context.Context, name string) (client.Conversation, error)
	CreateGroup(ctx context.Context, title string, names []string) (client.Conversation, error)
	AddMembers(ctx context.Context, id client.ConversationID, names []string) error
	RemoveMember(ctx context.Context, id client.ConversationID, account client.AccountID) error
	Rename(ctx context.Context, id client.ConversationID, title string) error
	Leave(ctx context.Context, id client.ConversationID) error
	SetMuted(ctx context.Context, id client.ConversationID, muted bool) error
	SetPinned(ctx context.Context, id client.ConversationID, pinned bool) error
	SetBlocked(ctx context.Context, account client.AccountID, blocked bool) error
	Blocked(ctx context.Context) ([]client.Contact, error)
	ChangePassword(ctx context.Context, present, next string) error
	UseAccountPassword(ctx context.Context, password string) error
	CreateRecoveryCode(ctx context.Context, password string) (code string, err error)
	RemoveRecoveryCode(ctx context.Context, password string) error
	DeleteAccount(ctx context.Context, password string) error
	ReportMessage(ctx context.Context, conversation client.ConversationID, message client.MessageID, category client.Category, note string) error
	MyRole(ctx context.Context) (client.Role, error)
	Operator
}

// Operator is what moderators and admins can do, as [client.Operator] has it.
type Operator interface {
	Reports(ctx context.Context, resolved bool, after uint64, limit int) (reports []client.Report, more bool, err error)
	Resolve(ctx context.Context, number uint64, resolution client.Resolution) error
	Ban(ctx context.Context, account client.AccountID, until time.Time, reason string) error
	Unban(ctx context.Context, account client.AccountID) error
	Banned(ctx context.Context, after uint64, limit int) (banned []client.Banned, more bool, err error)
	Find(ctx context.Context, name string) (client.AccountID, error)
}

// SDK makes sessions; [Profile] is the real one.
type SDK interface {
	HasProfile() bool
	Probe(ctx context.Context, link client.Link) (client.ServerInfo, error)
	Register(ctx context.Context, link client.Link, name, password string) (Session, error)
	Login(ctx context.Context, link client.Link, name, password string) (Session, error)
	// Recover gives an account a new password by its recovery code. next is the
	// code that takes its place; it counts even where there is an error.
	Recover(ctx context.Context, link client.Link, name, code, password string) (s Session, next string, err error)
	Open(ctx context.Context, password string) (Session, error)
}

// Host runs a server inside this program.
type Host interface {
	// Start starts the server, if it is not running, and returns an invite link.
	Start(ctx context.Context) (link string, err error)
	// Resume starts the server without making an invite.
	Resume(ctx context.Context) error
	// Invite returns a new invite link of the running server.
	Invite(ctx context.Context) (link string, err error)
	// Running says whether the server is up.
	Running() bool
}

// Profile is the SDK over one profile directory.
type Profile struct{ Options client.Options }

// HasProfile implements SDK.
func (p Profile) HasProfile() bool { return client.HasProfile(p.Options.Dir) }

// Probe implements SDK.
func (Profile) Probe(ctx context.Context, link client.Link) (client.ServerInfo, error) {
	return client.Probe(ctx, link)
}

// Register implements SDK.
func (p Profile) Register(ctx context.Context, link client.Link, name, password string) (Session, error) {
	return session(client.Register(ctx, p.Options, link, name, password))
}

// Login implements SDK.
func (p Profile) Login(ctx context.Context, link client.Link, name, password string) (Session, error) {
	return session(client.Login(ctx, p.Options, link, name, password))
}

// Recover implements SDK.
func (p Profile) Recover(ctx context.Context, link client.Link, name, code, password string) (Session, string, error) {
	c, next, err := client.RecoverAccount(ctx, p.Options, link, name, code, password)
	s, err := session(c, err)
	return s, next, err
}

// Open implements SDK.
func (p Profile) Open(ctx context.Context, password string) (Session, error) {
	return session(client.Open(ctx, p.Options, password))
}

// unlocked is a client with its operators' methods.
type unlocked struct {
	*client.Client
	client.Operator
}

// session makes a Session of a client, and none of a nil one.
//
// Stretching the password took tens of megabytes that will not be needed again
// while the app runs; they go back to the system at once.
func session(c *client.Client, err error) (Session, error) {
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory()
	return unlocked{c, c.Operator()}, nil
}
