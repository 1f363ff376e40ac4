package view

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

// copiedFor is how long a button says that it has copied.
const copiedFor = 2 * time.Second

// newAccountView makes an account or logs in.
func newAccountView(w *Window) (fyne.CanvasObject, fyne.Focusable) {
	c := w.app.Account
	title, subtitle := heading(""), widgets.NewParagraph("").Centered()
	name := widgets.NewField("Name", widgets.NewEntry("alice"), "")
	password := widgets.NewField("Password", widgets.NewPasswordEntry(""), "")
	again := widgets.NewField("Password again", widgets.NewPasswordEntry(""), "")
	problem := widgets.NewParagraph("").Centered()
	problem.SetColor(fynetheme.ColorNameError)

	submit := func() { c.Submit(name.Entry.Text, password.Entry.Text, again.Entry.Text) }
	button := primary("", submit)
	forgotten := quiet("I forgot my password", func() { c.Forgotten(name.Entry.Text) })
	other := quiet("", func() { c.SetLogIn(!c.LogIn()) })
	back := widgets.NewIconButton(theme.IconBack, w.app.Back)
	entries := []*widgets.Entry{name.Entry, password.Entry, again.Entry}
	for i, e := range entries {
		e.OnSubmitted = func(string) {
			if i+1 < len(entries) && entries[i+1].Text == "" && entries[i+1].Visible() && (i == 0 || !c.LogIn()) {
				w.win.Canvas().Focus(entries[i+1])
				return
			}
			submit()
		}
	}

	body := widgets.Column(0,
		mark(56), widgets.Gap(16), title, widgets.Gap(8), subtitle, widgets.Gap(28),
		widgets.Column(16, name, password, again), widgets.Gap(18), problem, widgets.Gap(8),
		button, widgets.Gap(10), forgotten, other)
	screen := newPage(columnWidth, body)
	for _, f := range []*widgets.Field{name, password, again} {
		f.OnResized = screen.relayout
		f.Entry.OnChanged = func(string) { c.Edited() }
	}
	hint := func() {
		if c.LogIn() {
			password.SetHint("", false)
			return
		}
		s := controller.PasswordStrength(password.Entry.Text)
		password.SetHint(s.Text, s.Good)
	}
	password.Entry.OnChanged = func(string) { c.Edited(); hint() }

	c.OnChange = func() {
		fillAccount(c, title, subtitle, name, again)
		name.SetProblem(c.NameProblem())
		password.SetProblem(c.PasswordProblem())
		again.SetProblem(c.AgainProblem())
		problem.SetText(c.Problem())
		hint()
		caption, switchTo := "Create account", "I already have an account"
		if c.LogIn() {
			caption, switchTo = "Log in", "Create a new account instead"
		}
		if c.Busy() {
			caption = "One moment…"
		}
		setCaption(button, caption)
		setCaption(other, switchTo)
		setEnabled(button, !c.Busy())
		setEnabled(other, !c.Busy())
		setEnabled(forgotten, !c.Busy())
		forgotten.Hidden = !c.LogIn()
		again.Hidden = c.LogIn()
		other.Hidden = c.Server().Registration == client.RegistrationClosed
		screen.relayout()
	}
	c.OnChange()
	corner := container.NewBorder(widgets.Inset(12, 12, container.NewHBox(back)), nil, nil, nil)
	return container.NewStack(screen.content, corner), name.Entry
}

func fillAccount(c *controller.Account, title *widgets.Line, subtitle *widgets.Paragraph, name, again *widgets.Field) {
	server := c.Server().Name
	if server == "" {
		server = "the server"
	}
	if c.LogIn() {
		title.SetText("Log in")
		subtitle.SetText("to your account on " + server)
		name.SetHint("", false)
		return
	}
	title.SetText("Create your account")
	subtitle.SetText("on " + server)
	name.SetHint("Others find you by this name. Small letters, digits, dots and dashes.", false)
	again.SetHint("Nobody can reset it for you. Once you are in, make a recovery code in the settings.", false)
}

// newUnlockView asks for the password of the profile on this computer.
func newUnlockView(w *Window) (fyne.CanvasObject, fyne.Focusable) {
	c := w.app.Unlock
	password := widgets.NewField("Password", widgets.NewPasswordEntry(""), "")
	submit := func() { c.Submit(password.Entry.Text) }
	button := primary("Unlock", submit)
	password.Entry.OnSubmitted = func(string) { submit() }
	password.Entry.OnChanged = func(string) { c.Edited() }
	screen := newPage(380,
		mark(76), widgets.Gap(18), heading("Welcome back"), widgets.Gap(8),
		widgets.NewParagraph("Your conversations on this computer are locked.").Centered(),
		widgets.Gap(28), password, widgets.Gap(14), button)
	password.OnResized = screen.relayout
	c.OnChange = func() {
		password.SetProblem(c.Problem())
		setEnabled(button, !c.Busy())
		setCaption(button, map[bool]string{false: "Unlock", true: "Unlocking…"}[c.Busy()])
	}
	return screen.content, password.Entry
}
