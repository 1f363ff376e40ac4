package view

import (
	"quicprochat/ui/controller"
	"quicprochat/ui/widgets"
)

// fields ties the fields of a dialog together: Enter leads to the next one and
// from the last to submit, typing clears what was wrong.
func (d *dialog) fields(w *Window, edited, submit func(), fields ...*widgets.Field) {
	for i, f := range fields {
		f.OnResized = d.sheet.Relayout
		f.Entry.OnChanged = func(string) { edited() }
		f.Entry.OnSubmitted = func(string) {
			if i+1 < len(fields) {
				w.win.Canvas().Focus(fields[i+1].Entry)
				return
			}
			submit()
		}
	}
}

// passwordHint judges the password in a field while it is typed.
func passwordHint(f *widgets.Field) {
	s := controller.PasswordStrength(f.Entry.Text)
	f.SetHint(s.Text, s.Good)
}

func (v *mainView) changePassword() {
	c := v.c.ChangePassword()
	present := widgets.NewField("Present password", widgets.NewPasswordEntry(""), "")
	next := widgets.NewField("New password", widgets.NewPasswordEntry(""), "")
	again := widgets.NewField("New password again", widgets.NewPasswordEntry(""), "")
	passwordHint(next)
	var d *dialog
	submit := func() { c.Submit(present.Entry.Text, next.Entry.Text, again.Entry.Text) }
	elsewhere := quiet("I changed it on another device", func() { d.sheet.Close(); v.adoptPassword() })
	d = newDialog(v.w, "Change password", &c.Form, primary("Change", submit), present, next, again, widgets.Row(0, elsewhere))
	d.held = true
	d.fields(v.w, func() { c.Edited(); passwordHint(next) }, submit, present, next, again)
	c.OnChange = func() {
		present.SetProblem(c.PresentProblem())
		next.SetProblem(c.NextProblem())
		again.SetProblem(c.AgainProblem())
		setEnabled(elsewhere, !c.Busy())
		d.update()
	}
	c.OnDone = func() {
		d.sheet.Close()
		v.w.say("Your password is changed", "It opens this app from now on. Your other devices stay logged in; there the app keeps opening with the old password until you tell it of the new one.")
	}
	d.sheet.Open(present.Entry)
}

// adoptPassword lets this profile open with what the account has got elsewhere.
func (v *mainView) adoptPassword() {
	c := v.c.AdoptPassword()
	password := widgets.NewField("Your account's password", widgets.NewPasswordEntry(""), "")
	submit := func() { c.Submit(password.Entry.Text) }
	d := newDialog(v.w, "Password changed elsewhere", &c.Form, primary("Use it here", submit),
		widgets.NewParagraph("This app still opens with the password that you had before. Type the new one to use it here, too."), password)
	d.held = true
	d.fields(v.w, c.Edited, submit, password)
	c.OnChange = func() { password.SetProblem(c.PasswordProblem()); d.update() }
	c.OnDone = func() {
		d.sheet.Close()
		v.w.say("Done", "From now on this app opens with your account's password.")
	}
	d.sheet.Open(password.Entry)
}

func (v *mainView) recoveryCode() {
	c := v.c.RecoveryCode()
	password := widgets.NewField("Password", widgets.NewPasswordEntry(""), "")
	create := func() { c.Create(password.Entry.Text) }
	remove := quiet("Remove the present code", func() { c.Remove(password.Entry.Text) })
	d := newDialog(v.w, "Recovery code", &c.Form, primary("Create a code", create),
		widgets.NewParagraph("If you lose your password, a recovery code is the only way back into your account. Nobody else can help you then: not even the server knows the code."),
		widgets.NewParagraph("A new code takes the place of an earlier one."), password, widgets.Row(0, remove))
	d.held = true
	d.fields(v.w, c.Edited, create, password)
	c.OnChange = func() {
		password.SetProblem(c.PasswordProblem())
		setEnabled(remove, !c.Busy())
		d.update()
	}
	c.OnDone = func() {
		d.sheet.Close()
		if c.Code() == "" {
			v.w.say("No recovery code", "Your account has no recovery code any more. Keep your password well.")
			return
		}
		v.showCode(c.Code())
	}
	d.sheet.Open(password.Entry)
}

// showCode shows a new recovery code, once. Nothing but the button closes it.
func (v *mainView) showCode(code string) {
	var sheet *widgets.Sheet
	done := primary("I have written it down", func() { sheet.Close() })
	sheet = widgets.NewSheet(v.w.win.Canvas(), "Your recovery code", sheetWidth,
		widgets.Column(16, codeNote(), linkRow(v.w, code)), done)
	sheet.SetLocked(true)
	sheet.Open(done)
}

func codeNote() *widgets.Paragraph {
	return widgets.NewParagraph("Write it down and keep it where others do not find it. It is shown only now. Whoever has it can take over your account.")
}

func (v *mainView) deleteAccount() {
	c := v.c.DeleteAccount()
	me := v.c.Me()
	name := widgets.NewField("Type your name to confirm", widgets.NewEntry(me.Name), "")
	password := widgets.NewField("Password", widgets.NewPasswordEntry(""), "")
	submit := func() { c.Submit(name.Entry.Text, password.Entry.Text) }
	d := newDialog(v.w, "Delete your account?", &c.Form, danger("Delete for good", submit),
		widgets.NewParagraph("This leaves your conversations, deletes everything about you on "+me.Server+" and everything on this computer. Your other devices are logged out."),
		widgets.NewParagraph("What you sent stays with those who received it. Nobody can use the name “"+me.Name+"” again, not even you. This cannot be undone."),
		name, password)
	d.held = true
	d.fields(v.w, c.Edited, submit, name, password)
	c.OnChange = func() {
		name.SetProblem(c.NameProblem())
		password.SetProblem(c.PasswordProblem())
		d.update()
		if c.Busy() {
			setCaption(d.button, "Leaving and deleting…")
			d.sheet.Relayout()
		}
	}
	d.sheet.Open(name.Entry)
}
