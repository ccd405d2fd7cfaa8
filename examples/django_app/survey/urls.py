"""Addresses of the survey project."""

from django.urls import include, path

urlpatterns = [path("", include("polls.urls"))]
