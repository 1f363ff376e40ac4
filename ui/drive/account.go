package drive

import (
	"errors"
	"fmt"
	"slices"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

// fields is form for a form with fields: problem is what is wrong with them.
func (d *Driver) fields(c Command, start func(*controller.Main) (f *controller.Form, problem func() string, err error)) (Reply, error) {
	var problem func() string
	var form *controller.Form
	return d.until(c, "an answer", func() (Reply, bool, error) {
		if form == nil {
			m, err := d.main()
			if err != nil {
				return nil, false, err
			}
			if form, problem, err = start(m); err != nil {
				return nil, false, err
			}
		}
		if form.Busy() {
			return nil, false, nil
		}
		if text := firstOf(problem(), form.Problem()); text != "" {
			return nil, false, errors.New(text)
		}
		return nil, true, nil
	})
}

func changePassword(d *Driver, c Command) (Reply, error) {
	return d.fields(c, func(m *controller.Main) (*controller.Form, func() string, error) {
		p := m.ChangePassword()
		p.Submit(c.Password, c.NewPassword, c.NewPassword)
		return &p.Form, func() string { return firstOf(p.PresentProblem(), p.NextProblem(), p.AgainProblem()) }, nil
	})
}

func recoveryCode(d *Driver, c Command) (Reply, error) {
	var r *controller.RecoveryCode
	_, err := d.fields(c, func(m *controller.Main) (*controller.Form, func() string, error) {
		r = m.RecoveryCode()
		r.Create(c.Password)
		return &r.Form, r.PasswordProblem, nil
	})
	if err != nil {
		return nil, err
	}
	return d.now(func() (Reply, error) { return Reply{"code": r.Code()}, nil })
}

func deleteAccount(d *Driver, c Command) (Reply, error) {
	return d.fields(c, func(m *controller.Main) (*controller.Form, func() string, error) {
		del := m.DeleteAccount()
		del.Submit(m.Me().Name, c.Password)
		return &del.Form, func() string { return firstOf(del.NameProblem(), del.PasswordProblem()) }, nil
	})
}

// recoverAccount goes from the welcome screen to the conversations.
func recoverAccount(d *Driver, c Command) (Reply, error) {
	started, code := false, ""
	return d.until(c, "the account", func() (Reply, bool, error) {
		w, r := d.App.Welcome, d.App.Recover
		if !started {
			if d.App.Screen() == controller.ScreenWelcome {
				w.SetLink(c.Link)
				if w.Problem() != "" {
					return nil, false, errors.New(w.Problem())
				}
				w.Continue()
			}
			if d.App.Screen() != controller.ScreenAccount {
				return nil, false, nil
			}
			started = true
			d.App.Account.Forgotten(c.Name)
			r.Submit(c.Name, c.Code, c.Password, c.Password)
		}
		if problem := firstOf(r.NameProblem(), r.CodeProblem(), r.PasswordProblem(), r.AgainProblem(), r.Problem()); problem != "" && !r.Busy() {
			return nil, false, errors.New(problem)
		}
		if r.NextCode() != "" {
			code = r.NextCode()
			r.Continue()
		}
		return Reply{"code": code}, code != "" && d.entered(), nil
	})
}

// set changes something of a conversation and waits until the list shows it.
func (d *Driver) set(c Command, change func(*controller.Main, client.ConversationID), shown func(controller.ConversationItem) bool) (Reply, error) {
	started := false
	return d.until(c, "the list to show it", func() (Reply, bool, error) {
		m, err := d.main()
		if err != nil {
			return nil, false, err
		}
		id, ok := m.Find(c.Title)
		if !ok {
			return nil, false, fmt.Errorf("there is no conversation %q", c.Title)
		}
		if !started {
			started = true
			change(m, id)
		}
		return nil, slices.ContainsFunc(m.Items(), func(i controller.ConversationItem) bool { return i.ID == id && shown(i) }), nil
	})
}

func (d *Driver) mute(c Command, on bool) (Reply, error) {
	return d.set(c, func(m *controller.Main, id client.ConversationID) { m.SetMuted(id, on) },
		func(i controller.ConversationItem) bool { return i.Muted == on })
}

func (d *Driver) pin(c Command, on bool) (Reply, error) {
	return d.set(c, func(m *controller.Main, id client.ConversationID) { m.SetPinned(id, on) },
		func(i controller.ConversationItem) bool { return i.Pinned == on })
}

func block(d *Driver, c Command) (Reply, error) {
	return d.blocking(c, func(b *controller.Blocking) error { b.Block(c.Name); return nil })
}

func unblock(d *Driver, c Command) (Reply, error) {
	return d.blocking(c, func(b *controller.Blocking) error {
		for _, p := range b.List() {
			if p.Name == c.Name {
				b.Unblock(p.AccountID)
				return nil
			}
		}
		return fmt.Errorf("%s is not blocked", c.Name)
	})
}

// blocking waits for the list of blocked people and does something with it.
func (d *Driver) blocking(c Command, f func(*controller.Blocking) error) (Reply, error) {
	var b *controller.Blocking
	started := false
	return d.until(c, "an answer", func() (Reply, bool, error) {
		if b == nil {
			m, err := d.main()
			if err != nil {
				return nil, false, err
			}
			b = m.Blocking()
		}
		if b.Loaded() && !started {
			started = true
			if err := f(b); err != nil {
				return nil, false, err
			}
		}
		if b.Problem() != "" {
			return nil, false, errors.New(b.Problem())
		}
		return nil, started && !b.Busy(), nil
	})
}

func report(d *Driver, c Command) (Reply, error) {
	category := slices.Index(client.Categories, client.Category(c.Category))
	if category < 0 {
		return nil, fmt.Errorf("there is no category %q", c.Category)
	}
	return d.fields(c, func(m *controller.Main) (*controller.Form, func() string, error) {
		open := m.Current()
		if open == nil {
			return nil, nil, errNoOpen
		}
		for _, row := range open.Reportable() {
			if row.Text == c.Text {
				r := open.Report(row)
				r.Submit(category, c.Note)
				return &r.Form, r.NoteProblem, nil
			}
		}
		return nil, nil, fmt.Errorf("nobody else has written %q", c.Text)
	})
}
