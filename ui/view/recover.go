package view

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

// newRecoverView gives an account a new password by its recovery code.
func newRecoverView(w *Window) (fyne.CanvasObject, fyne.Focusable) {
	c := w.app.Recover
	name := widgets.NewField("Name", widgets.NewEntry("alice"), "")
	name.Entry.SetText(c.Name())
	code := widgets.NewField("Recovery code", widgets.NewEntry("XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX"), "")
	password := widgets.NewField("New password", widgets.NewPasswordEntry(""), "")
	again := widgets.NewField("New password again", widgets.NewPasswordEntry(""), "")
	passwordHint(password)
	problem := widgets.NewParagraph("").Centered()
	problem.SetColor(fynetheme.ColorNameError)
	submit := func() { c.Submit(name.Entry.Text, code.Entry.Text, password.Entry.Text, again.Entry.Text) }
	button := primary("Recover account", submit)
	back := widgets.NewIconButton(theme.IconBack, w.app.Back)
	screen := newPage(columnWidth,
		mark(56), widgets.Gap(16), heading("Recover your account"), widgets.Gap(8),
		widgets.NewParagraph("Your recovery code gives your account a new password.").Centered(),
		widgets.Gap(24), widgets.Column(16, name, code, password, again), widgets.Gap(18), problem, widgets.Gap(8), button)
	fields := []*widgets.Field{name, code, password, again}
	for i, f := range fields {
		f.OnResized = screen.relayout
		f.Entry.OnChanged = func(string) { c.Edited(); passwordHint(password) }
		f.Entry.OnSubmitted = func(string) {
			if i+1 < len(fields) {
				w.win.Canvas().Focus(fields[i+1].Entry)
				return
			}
			submit()
		}
	}
	c.OnChange = func() {
		if c.NextCode() != "" {
			w.showNextCode()
			return
		}
		name.SetProblem(c.NameProblem())
		code.SetProblem(c.CodeProblem())
		password.SetProblem(c.PasswordProblem())
		again.SetProblem(c.AgainProblem())
		problem.SetText(c.Problem())
		setEnabled(button, !c.Busy())
		setCaption(button, map[bool]string{false: "Recover account", true: "One moment…"}[c.Busy()])
		screen.relayout()
	}
	focus := name.Entry
	if c.Name() != "" {
		focus = code.Entry
	}
	corner := container.NewBorder(widgets.Inset(12, 12, container.NewHBox(back)), nil, nil, nil)
	return container.NewStack(screen.content, corner), focus
}

// showNextCode shows the code that counts once the account has been recovered.
func (w *Window) showNextCode() {
	c := w.app.Recover
	c.OnChange = nil
	next := primary("I have written it down", c.Continue)
	problem := widgets.NewParagraph("").Centered()
	problem.SetColor(fynetheme.ColorNameError)
	problem.SetText(c.Problem())
	if c.Problem() != "" {
		problem.SetText(c.Problem() + " Your account has its new password all the same: log in with it.")
	}
	w.win.SetContent(newPage(columnWidth,
		mark(56), widgets.Gap(16), heading("Your account is back"), widgets.Gap(8),
		widgets.NewParagraph("The code that you used is spent. This one takes its place.").Centered(), widgets.Gap(4),
		codeNote().Centered(),
		widgets.Gap(24), linkRow(w, c.NextCode()), widgets.Gap(20), problem, widgets.Gap(8), next,
	).content)
	w.win.Canvas().Focus(next)
}
