"""The form a question is asked with."""

from django import forms

FEWEST = 2


class QuestionForm(forms.Form):
    text = forms.CharField(label="Question", max_length=200)
    choices = forms.CharField(label="Choices, one a line", widget=forms.Textarea)

    def clean_choices(self):
        lines = [line.strip() for line in self.cleaned_data["choices"].splitlines() if line.strip()]
        if len(lines) < FEWEST:
            raise forms.ValidationError("Give at least two choices.")
        return lines
