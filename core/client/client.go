package client

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
)

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

// Client is one device of one account. Its methods may be called from any
// goroutine.
type Client struct {
	opts   Options
	log    *slog.Logger
	now    func() time.Time
	vault  *vault.Vault
	self   *profile
	groups mls.Config
	people *people
	shared *sharedSettings
	events subscribers
	status *status
	inbox  *inbox
	acks   *acks
	wallet wallet
	// answers counts what this device has answered to those who want to come back.
	answers answerLimit

	account   *connection // authenticated: the own queue, keys and devices
	anonymous *connection // never authenticated: everything about others
	route     *route      // where the server is
	posts     *posts

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup

	intake   sync.Mutex    // held while a queue item is taken in
	signing  sync.RWMutex  // held for reading while a new group is signed
	keys     sync.Mutex    // held while KeyPackages are made
	starting sync.Mutex    // held while a direct chat is started
	password sync.Mutex    // held while the password is changed
	sharing  sync.Mutex    // held while settings are shared
	start    chan struct{} // wakes maintenance

	mu            sync.Mutex
	conversations map[ConversationID]*conversation
}

// Open unlocks an existing profile. It works offline and connects in the
// background.
//
// Errors: ErrNoProfile, ErrVaultPassword, ErrProfileInUse, ErrProfileCorrupt.
func Open(ctx context.Context, o Options, password string) (*Client, error) {
	o, password = o.withDefaults(), identity.NormalizePassword(password)
	v, err := openVault(o.vaultDir(), password, o.vaultOptions())
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: o, log: o.Logger, now: o.Now, vault: v,
		conversations: make(map[ConversationID]*conversation),
		start:         make(chan struct{}, 1),
	}
	if err := v.View(ctx, c.load); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	c.run()
	if v.Staged() {
		c.settleLater(password)
	}
	return c, nil
}

// load reads what is kept in memory.
func (c *Client) load(tx *vault.Tx) error {
	self, err := loadProfile(tx)
	if err != nil {
		return err
	}
	c.self = self
	contacts, err := tx.Contacts()
	if err != nil {
		return err
	}
	c.people = newPeople(self.account(), contacts)
	if c.shared, err = loadShared(tx); err != nil {
		return err
	}
	c.groups = mls.Config{Auth: authService{c.people}, Now: c.now}
	c.status = newStatus(c.events.publish)
	if c.route, err = loadRoute(tx, self.link); err != nil {
		return err
	}
	cursor, err := tx.Setting(settingCursor)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if len(cursor) == 8 {
		c.status.cursor = binary.BigEndian.Uint64(cursor)
	}
	if _, err := tx.Setting(settingBanned); err == nil {
		c.status.isBanned = true
	} else if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	return c.loadConversations(tx)
}

func (c *Client) loadConversations(tx *vault.Tx) error {
	rows, err := tx.Conversations()
	if err != nil {
		return err
	}
	for _, row := range rows {
		v, err := newConversation(c, row)
		if err != nil {
			return err
		}
		c.conversations[v.id] = v
	}
	const all = 1 << 30
	items, err := tx.Outbox(0, all)
	if err != nil {
		return err
	}
	for _, item := range items {
		if v := c.conversations[item.Conversation]; v != nil {
			v.outbox = append(v.outbox, newOutgoing(item, true))
		}
	}
	return nil
}

// run starts everything that goes on by itself.
func (c *Client) run() {
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.inbox, c.acks = newInbox(), newAcks()
	c.account = newConnection(c.now, c.dialAccount, func(s ConnectionChanged) {
		c.heedBan(s)
		c.status.setAccount(s)
		switch {
		case s.State == Online:
			c.shared.sharedAt(time.Time{})
			wake(c.start)
			c.acks.put(c.status.position()) // what an earlier connection could not
		case s.final():
			if why := c.status.ended(); why != nil {
				c.spawn(func() { c.failMessages(why) })
			}
		}
	})
	c.anonymous = newConnection(c.now, c.dialAnonymous, func(s ConnectionChanged) {
		c.status.setAnonymous(s)
		if s.State == Online && c.status.banned() { // since it was dialled
			c.anonymous.drop()
		}
	})
	c.posts = &posts{call: c.anonymous.once, spawn: c.spawn}
	c.status.setAccount(ConnectionChanged{State: Connecting})
	c.status.setAnonymous(ConnectionChanged{State: Connecting})
	c.work.Go(func() { c.account.run(c.ctx) })
	c.work.Go(func() { c.anonymous.run(c.ctx) })
	c.work.Go(c.receive)
	c.work.Go(c.acknowledge)
	c.work.Go(c.maintain)
	for _, v := range c.conversations {
		v.mu.Lock()
		v.deliver()
		v.mu.Unlock()
	}
}

// Close stops everything, waits until nothing runs any more, and locks the
// vault. What was not sent goes out after the next Open.
func (c *Client) Close() error {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.work.Wait()
	c.events.close()
	err := c.vault.Close()
	for _, v := range c.all() { // a caller may be in the middle of something
		v.mu.Lock()
		v.close()
		v.mu.Unlock()
	}
	c.signing.Lock()
	defer c.signing.Unlock()
	c.self.wipe()
	return err
}

// Me describes this device and its account.
func (c *Client) Me() Me {
	return Me{
		Name: c.self.name, Server: c.self.server, AccountID: c.self.account(),
		DeviceID: c.self.certificate.DeviceID(), DeviceName: c.self.certificate.DeviceName,
	}
}

// Link is the server's link, without a token: where it was reached last.
func (c *Client) Link() Link { return c.route.current() }

// Subscribe returns a channel of events and a function that ends the
// subscription and closes the channel. Close closes it too.
func (c *Client) Subscribe() (events <-chan Event, cancel func()) { return c.events.subscribe() }

// Connection is the state of the connection now.
func (c *Client) Connection() ConnectionChanged { return c.status.connection() }

// Reconnect ends a wait between two attempts to connect.
func (c *Client) Reconnect() {
	c.account.retry()
	c.anonymous.retry()
}

// spawn runs f in a goroutine that Close waits for; false once it is closed.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.work.Go(f)
	return true
}

// lookup returns the conversation, or nil.
func (c *Client) lookup(id ConversationID) *conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conversations[id]
}

// find is lookup with an error.
func (c *Client) find(id ConversationID) (*conversation, error) {
	if v := c.lookup(id); v != nil {
		return v, nil
	}
	return nil, ErrUnknownConversation
}

func (c *Client) adopt(v *conversation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conversations[v.id] = v
}

func (c *Client) forget(id ConversationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conversations, id)
}

// all is a snapshot of the conversations.
func (c *Client) all() []*conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*conversation, 0, len(c.conversations))
	for _, v := range c.conversations {
		list = append(list, v)
	}
	return list
}
