package controller

import (
	"context"

	"quicprochat/core/client"
)

// BannedItem is a banned account as the list shows it.
type BannedItem struct {
	Account client.AccountID
	Name    string
	// Until says how long the ban lasts.
	Until  string
	Reason string
}

// BannedPeople is the accounts that are kept out.
type BannedPeople struct {
	Form
	// OnList is called when the list changed.
	OnList func()

	main   *Main
	list   []client.Banned
	loaded bool
}

// BannedPeople makes the controller of the list of bans and reads it.
func (m *Main) BannedPeople() *BannedPeople {
	b := &BannedPeople{Form: Form{loop: m.loop}, main: m}
	b.reload()
	return b
}

// Loaded says whether the list has been read.
func (b *BannedPeople) Loaded() bool { return b.loaded }

// Items are the banned accounts, in the order in which they were banned.
func (b *BannedPeople) Items() []BannedItem {
	items := make([]BannedItem, len(b.list))
	for i, p := range b.list {
		items[i] = BannedItem{Account: p.AccountID, Name: p.Name, Reason: p.Reason, Until: "For good"}
		if !p.Until.IsZero() {
			items[i].Until = "Until " + p.Until.In(b.loop.Now().Location()).Format("2 January 2006, 15:04")
		}
	}
	return items
}

// maxBanned bounds the list that is read.
const maxBanned = 5000

func (b *BannedPeople) reload() {
	background(b.loop, func() (all []client.Banned, err error) {
		for after, more := uint64(0), true; more && len(all) < maxBanned; {
			var page []client.Banned
			if page, more, err = b.main.session.Banned(context.Background(), after, 0); err != nil {
				return nil, err
			}
			all = append(all, page...)
			if more = more && len(page) > 0; more {
				after = page[len(page)-1].Number
			}
		}
		return all, nil
	}, func(all []client.Banned, err error) {
		if err != nil {
			b.fail(client.UserMessage(err))
			return
		}
		b.list, b.loaded = all, true
		if b.OnList != nil {
			b.OnList()
		}
	})
}

// Unban lets an account back in.
func (b *BannedPeople) Unban(account client.AccountID) {
	b.run(func(ctx context.Context) error { return b.main.session.Unban(ctx, account) }, b.reload)
}
