package controller

import (
	"context"
	"slices"
	"time"

	"quicprochat/core/client"
)

// Screen is one of the app's screens.
type Screen string

const (
	// ScreenWelcome asks for a server: join one or host one.
	ScreenWelcome Screen = "welcome"
	// ScreenAccount makes an account or logs in.
	ScreenAccount Screen = "account"
	// ScreenRecover gives an account a new password by its recovery code.
	ScreenRecover Screen = "recover"
	// ScreenUnlock asks for the password of the profile on this computer.
	ScreenUnlock Screen = "unlock"
	// ScreenMain is the conversations.
	ScreenMain Screen = "main"
)

// App is what leads from one screen to the next. Exactly one screen's
// controller is in use at a time; Main is nil until a profile is unlocked.
type App struct {
	// OnScreen is called when another screen is to be shown.
	OnScreen func(Screen)
	// OnTheme is called when another theme was chosen.
	OnTheme func(name string)

	Welcome *Welcome
	Account *Account
	Recover *Recover
	Unlock  *Unlock
	Main    *Main
	Hosting *Hosting

	Preferences *Preferences
	// Version is the program's, for the settings.
	Version string

	loop     Loop
	sdk      SDK
	screen   Screen
	session  Session
	watchers []*watcher
}

type watcher struct{ f func() }

// NewApp makes the app; [App.Start] shows the first screen. host may be nil
// where this program cannot host.
func NewApp(loop Loop, sdk SDK, host Host, prefs *Preferences) *App {
	a := &App{sdk: sdk, Preferences: prefs}
	inner := loop.UI
	loop.UI = func(f func()) {
		inner(func() { f(); a.notify() })
	}
	after := loop.After
	loop.After = func(d time.Duration, f func()) func() {
		return after(d, func() { f(); a.notify() })
	}
	a.loop = loop
	a.Hosting = &Hosting{Form: Form{loop: loop}, host: host, prefs: prefs}
	a.Welcome = &Welcome{loop: loop, sdk: sdk, onContinue: a.chooseServer}
	a.Account = &Account{Form: Form{loop: loop}, sdk: sdk, onSession: a.enter}
	a.Account.onForgotten = a.forgotten
	a.Recover = &Recover{Form: Form{loop: loop}, sdk: sdk, onSession: a.enter, onLogIn: a.logIn}
	a.Unlock = &Unlock{Form: Form{loop: loop}, sdk: sdk, onSession: a.enter}
	return a
}

// Start shows the first screen and, if this profile hosts, starts the server.
func (a *App) Start() {
	a.Hosting.resume()
	if a.sdk.HasProfile() {
		a.show(ScreenUnlock)
		return
	}
	a.show(ScreenWelcome)
}

// Screen is the screen that shows.
func (a *App) Screen() Screen { return a.screen }

// Loop is where the controllers run; whoever drives them from another
// goroutine goes through its UI.
func (a *App) Loop() Loop { return a.loop }

// Back leads from the account screen to the welcome screen, and from the
// recovery to the account screen unless there is a code to be written down.
func (a *App) Back() {
	switch {
	case a.screen == ScreenAccount && !a.Account.Busy():
		a.show(ScreenWelcome)
	case a.screen == ScreenRecover && !a.Recover.Busy() && a.Recover.NextCode() == "":
		a.show(ScreenAccount)
	}
}

func (a *App) forgotten(name string) {
	a.Recover.begin(a.Account.link, a.Account.server, name)
	a.show(ScreenRecover)
}

// logIn shows the account screen for logging in.
func (a *App) logIn() {
	a.Account.SetLogIn(true)
	a.show(ScreenAccount)
}

// SetTheme chooses a theme and remembers it.
func (a *App) SetTheme(name string) {
	a.Preferences.Theme = name
	a.savePreferences()
	if a.OnTheme != nil {
		a.OnTheme(name)
	}
}

// RememberSize notes the window's size for the next start.
func (a *App) RememberSize(width, height float32) {
	a.Preferences.Width, a.Preferences.Height = width, height
	a.savePreferences()
}

func (a *App) savePreferences() { _ = a.Preferences.Save() }

// Close ends the session, if there is one, and calls done when the vault is
// closed.
func (a *App) Close(done func(error)) {
	if a.Main != nil {
		a.Main.stop()
	}
	s := a.session
	if s == nil {
		s = a.Recover.session
	}
	a.session = nil
	background(a.loop, func() (struct{}, error) {
		if s == nil {
			return struct{}{}, nil
		}
		return struct{}{}, s.Close()
	}, func(_ struct{}, err error) { done(err) })
}

// Watch calls f after everything that happens until cancel is called.
func (a *App) Watch(f func()) (cancel func()) {
	w := &watcher{f}
	a.watchers = append(a.watchers, w)
	return func() { a.watchers = slices.DeleteFunc(a.watchers, func(o *watcher) bool { return o == w }) }
}

func (a *App) notify() {
	for _, w := range slices.Clone(a.watchers) {
		w.f()
	}
}

func (a *App) show(s Screen) {
	a.screen = s
	if a.OnScreen != nil {
		a.OnScreen(s)
	}
}

func (a *App) chooseServer(link client.Link, info client.ServerInfo) {
	a.Account.begin(link, info)
	a.show(ScreenAccount)
}

// deleted leads back to the beginning once the account is gone; the session has
// ended by itself.
func (a *App) deleted(notice string) {
	a.Main.stop()
	a.session, a.Main = nil, nil
	a.Welcome.reset(notice)
	a.show(ScreenWelcome)
}

func (a *App) enter(s Session) {
	a.session = s
	a.Main = newMain(a.loop, s)
	a.Main.onDeleted = a.deleted
	a.show(ScreenMain)
	a.Main.start()
}

// Hosting starts the server inside this app and hands out its invite links.
type Hosting struct {
	Form
	host  Host
	prefs *Preferences
	link  string
}

// Possible says whether this program can host.
func (h *Hosting) Possible() bool { return h.host != nil }

// Running says whether the server is up.
func (h *Hosting) Running() bool { return h.host != nil && h.host.Running() }

// Link is the newest invite link, empty until there is one.
func (h *Hosting) Link() string { return h.link }

// Start starts the server and makes an invite link.
func (h *Hosting) Start() {
	if h.host == nil {
		h.fail("This program cannot host a server.")
		return
	}
	h.newLink(h.host.Start, func() {
		h.prefs.Hosting = true
		_ = h.prefs.Save()
	})
}

// Invite makes another invite link of the running server.
func (h *Hosting) Invite() {
	if h.Running() {
		h.newLink(h.host.Invite, nil)
	}
}

func (h *Hosting) newLink(get func(context.Context) (string, error), done func()) {
	var link string
	h.run(func(ctx context.Context) (err error) {
		link, err = get(ctx)
		return err
	}, func() {
		h.link = link
		if done != nil {
			done()
		}
		h.changed()
	})
}

// resume starts the server of a profile that hosts.
func (h *Hosting) resume() {
	if h.host == nil || !h.prefs.Hosting || h.host.Running() {
		return
	}
	h.run(h.host.Resume, nil)
}
